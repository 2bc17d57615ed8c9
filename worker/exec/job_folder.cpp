#include "worker/exec/job_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/base/bytes.h"
#include "common/formats/digest.h"
#include "worker/exec/process_table.h"
#include "worker/exec/python_module.h"

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

Status folder_failed(std::string_view what, const fs::path& path) {
  const Code code = errno == EEXIST                      ? Code::kAlreadyExists
                    : errno == ENOSPC || errno == EDQUOT ? Code::kResourceExhausted
                                                         : Code::kInternal;
  return error(code, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

Status make_folder(const fs::path& path, mode_t mode, std::optional<uid_t> owner) {
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0)
    return folder_failed("make", path);
  if (owner && ::lchown(path.c_str(), *owner, *owner) != 0) return folder_failed("give away", path);
  return Status::success();
}

Status ensure_folder(const fs::path& path, mode_t mode) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code)
    return error(Code::kInternal, fmt::format("cannot make {}: {}", path.string(), code.message()));
  if (::chmod(path.c_str(), mode) != 0) return folder_failed("set the mode of", path);
  return Status::success();
}

std::optional<Descriptor> try_lock(const fs::path& path) {
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return lock;
}

std::string key_of(const std::string& project, const std::string& path) {
  const std::string text = project + '\0' + path;
  return to_hex(formats::sha256(std::as_bytes(std::span(text.data(), text.size()))));
}

// Parents that are missing, each the job's own; then the link.
Status link_at(const fs::path& base, const fs::path& relative, const fs::path& target,
               std::optional<uid_t> owner) {
  fs::path at = base;
  for (const fs::path& part : relative.parent_path()) {
    at /= part;
    const fs::file_status status = fs::symlink_status(at);
    // Through a link of the workdir the daemon would write elsewhere.
    if (fs::exists(status) && !fs::is_directory(status))
      return error(Code::kAlreadyExists, fmt::format("{} is in the way", at.string()));
    if (!fs::exists(status))
      if (Status made = make_folder(at, 0700, owner); !made.ok()) return made;
  }
  at = base / relative;
  if (::symlink(target.c_str(), at.c_str()) != 0) return folder_failed("make", at);
  return Status::success();
}

bool plain(const fs::path& path) {
  for (const fs::path& part : path)
    if (part == ".." || part == "." || part == "/" || part.empty()) return false;
  return !path.empty();
}

}  // namespace

Result<UidLease> take_uid(const fs::path& locks) {
  if (Status status = ensure_folder(locks, 0700); !status.ok()) return fail(std::move(status));
  for (uid_t uid = kJobUidFirst; uid <= kJobUidLast; ++uid) {
    auto lock = try_lock(locks / std::to_string(uid));
    // What an earlier daemon left running keeps its uid.
    if (lock && processes_of_uid(uid).empty()) return UidLease{uid, std::move(*lock)};
  }
  return fail(Code::kResourceExhausted, "no user id is free for a job");
}

Result<JobFolder> make_job_folder(const fs::path& base, const std::string& name,
                                  std::optional<uid_t> owner) {
  if (name.find('/') != std::string::npos || !plain(name))
    return fail(Code::kInvalidArgument, fmt::format("{} is no name of a folder", name));
  if (Status status = ensure_folder(base, 0711); !status.ok()) return fail(std::move(status));
  JobFolder folder{base / name};
  // Python lists the folders of its path.
  for (const auto& [path, mode] : {std::pair(folder.root, 0710), std::pair(folder.module(), 0750)})
    if (Status status = make_folder(path, static_cast<mode_t>(mode), std::nullopt); !status.ok())
      return fail(std::move(status));
  for (const fs::path& path : {folder.work(), folder.home(), folder.temporary()})
    if (Status status = make_folder(path, 0700, owner); !status.ok())
      return fail(std::move(status));
  for (const fs::path& path : {folder.root, folder.module()})
    if (owner && ::lchown(path.c_str(), static_cast<uid_t>(-1), *owner) != 0)
      return fail(folder_failed("give away", path));
  const fs::path module = folder.module() / "overwinter.py";
  std::ofstream file(module, std::ios::binary);
  file << python_module();
  file.close();
  if (!file || ::chmod(module.c_str(), 0644) != 0) return fail(folder_failed("write", module));
  return folder;
}

Status tell_to_stop(const JobFolder& folder) {
  const Descriptor file(::open(folder.stop_file().c_str(),
                               O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644));
  if (!file.valid() || ::fchmod(file.get(), 0644) != 0)
    return folder_failed("write", folder.stop_file());
  return Status::success();
}

Status retire_job_folder(const JobFolder& folder) {
  if (::lchown(folder.root.c_str(), ::geteuid(), ::getegid()) != 0 ||
      ::chmod(folder.root.c_str(), 0700) != 0)
    return folder_failed("take back", folder.root);
  return Status::success();
}

std::vector<Grant> job_grants(const JobFolder& folder, const std::vector<Mount>& mounts,
                              const std::vector<fs::path>& caches, const fs::path& setup) {
  std::vector<Grant> grants = common_grants();
  grants.push_back({folder.root.string(), Access::kRead});
  for (const fs::path& path : {folder.work(), folder.home(), folder.temporary()})
    grants.push_back({path.string(), Access::kReadWrite});
  for (const Mount& mount : mounts)
    grants.push_back({mount.outside, mount.writable ? Access::kReadWrite : Access::kRead});
  for (const fs::path& cache : caches) grants.push_back({cache.string(), Access::kReadWrite});
  if (!setup.empty()) grants.push_back({setup.string(), Access::kRead});
  return grants;
}

Status link_mounts(const JobFolder& folder, const std::vector<Mount>& mounts,
                   std::optional<uid_t> owner) {
  for (const Mount& mount : mounts)
    if (!mount.inside.empty() && !mount.inside.starts_with('/'))
      if (Status status = link_at(folder.work(), mount.inside, mount.outside, owner); !status.ok())
        return status;
  return Status::success();
}

Result<Cache> take_cache(const fs::path& caches, const std::string& project,
                         const std::string& path, const JobFolder& folder,
                         std::optional<uid_t> owner) {
  const bool in_home = path.starts_with("~/");
  const fs::path relative = fs::path(in_home ? path.substr(2) : path);
  if (!plain(relative))
    return fail(Code::kInvalidArgument, fmt::format("{} is no place for a cache", path),
                "workload.exec.cache", "~/.cache/huggingface, or a path in the workdir");
  if (Status status = ensure_folder(caches, 0711); !status.ok()) return fail(std::move(status));
  Cache cache;
  cache.folder = caches / key_of(project, path);
  auto lock = try_lock(cache.folder.string() + ".lock");
  if (!lock)
    return fail(Code::kUnavailable,
                fmt::format("another job of the project has the cache {}", path));
  cache.lock = std::move(*lock);
  if (Status status = ensure_folder(cache.folder, 0700); !status.ok())
    return fail(std::move(status));
  // The last attempt had another uid.
  if (owner)
    if (Status status = give_folder(cache.folder, *owner); !status.ok())
      return fail(std::move(status));
  if (Status status =
          link_at(in_home ? folder.home() : folder.work(), relative, cache.folder, owner);
      !status.ok())
    return fail(std::move(status));
  return cache;
}

Status give_folder(const fs::path& folder, uid_t owner) {
  if (::lchown(folder.c_str(), owner, owner) != 0) return folder_failed("give away", folder);
  std::error_code code;
  for (fs::recursive_directory_iterator at(folder, code);
       !code && at != fs::recursive_directory_iterator(); at.increment(code))
    if (::lchown(at->path().c_str(), owner, owner) != 0 && errno != ENOENT)
      return folder_failed("give away", at->path());
  if (code)
    return error(Code::kInternal,
                 fmt::format("cannot list {}: {}", folder.string(), code.message()));
  return Status::success();
}

}  // namespace overwinter::worker::exec
