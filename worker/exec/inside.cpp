#include "worker/exec/inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>

#include "common/base/bytes.h"

namespace overwinter::worker::exec {
namespace {

std::string cleaned(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path == "." ? std::string() : std::string(path);
}

tl::unexpected<Status> not_opened(std::string_view path) {
  if (errno == ENOENT || errno == ENOTDIR)
    return fail(Code::kNotFound, fmt::format("{} is not there", path));
  if (errno == ELOOP || errno == EXDEV)
    return fail(Code::kInvalidArgument, fmt::format("{} leads out of the job's folder", path));
  return fail(Code::kInternal, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
}

Result<Descriptor> open_below(int folder, const std::string& path, bool is_folder) {
  open_how how{};
  // Without O_NONBLOCK a pipe would hold us up.
  how.flags = static_cast<std::uint64_t>(O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                                         (is_folder ? O_DIRECTORY : 0));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  Descriptor file(static_cast<int>(
      ::syscall(SYS_openat2, folder, path.empty() ? "." : path.c_str(), &how, sizeof how)));
  if (!file.valid()) return not_opened(path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return not_opened(path);
  if (!is_folder && !S_ISREG(status.st_mode))
    return fail(Code::kInvalidArgument, fmt::format("{} is no regular file", path));
  return file;
}

class Walk {
 public:
  explicit Walk(std::vector<InsideFile>& files) : files_(files) {}

  Status folder(Descriptor at, const std::string& prefix, std::size_t depth) {
    if (depth > kInsideDepthMax)
      return error(Code::kResourceExhausted, fmt::format("{} is too deep", prefix));
    const std::unique_ptr<DIR, CloseFolder> open(::fdopendir(::dup(at.get())));
    if (!open) return not_opened(prefix).value();
    while (const dirent* entry = ::readdir(open.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat status {};
      if (::fstatat(at.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone
      const std::string path = prefix.empty() ? name : prefix + "/" + name;
      if (S_ISREG(status.st_mode)) {
        if (Status added = add(path, status); !added.ok()) return added;
      } else if (S_ISDIR(status.st_mode)) {
        Result<Descriptor> below = open_below(at.get(), name, true);
        if (!below) continue;  // replaced meanwhile
        if (Status walked = folder(std::move(*below), path, depth + 1); !walked.ok()) return walked;
      }
    }
    return Status::success();
  }

  Status add(const std::string& path, const struct stat& status) {
    if (files_.size() >= kInsideFilesMax)
      return error(Code::kResourceExhausted, fmt::format("more than {} files", kInsideFilesMax));
    files_.push_back({path, static_cast<std::uint64_t>(status.st_size),
                      status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_dev,
                      status.st_ino});
    return Status::success();
  }

 private:
  std::vector<InsideFile>& files_;
};

}  // namespace

Result<Descriptor> open_inside(const std::filesystem::path& folder, std::string_view path,
                               bool is_folder) {
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) return not_opened(folder.string());
  return open_below(root.get(), cleaned(path), is_folder);
}

Result<std::vector<InsideFile>> list_inside(const std::filesystem::path& folder,
                                            std::string_view path) {
  std::vector<InsideFile> files;
  Walk walk(files);
  Result<Descriptor> below = open_inside(folder, path, true);
  if (below) {
    if (Status status = walk.folder(std::move(*below), "", 0); !status.ok())
      return fail(std::move(status));
  } else {
    const Result<Descriptor> file = open_inside(folder, path);
    if (!file) return fail(file.error());
    struct stat status {};
    if (::fstat(file->get(), &status) != 0) return not_opened(path);
    const std::string name = std::filesystem::path(cleaned(path)).filename().string();
    if (Status added = walk.add(name, status); !added.ok()) return fail(std::move(added));
  }
  std::sort(files.begin(), files.end(),
            [](const InsideFile& a, const InsideFile& b) { return a.path < b.path; });
  return files;
}

Result<Outputs> collect_outputs(const std::filesystem::path& folder,
                                const std::vector<std::string>& outputs, std::uint64_t bytes_max) {
  Outputs collected;
  std::set<std::string> seen;
  for (const std::string& output : outputs) {
    const std::string path = cleaned(output);
    const Result<std::vector<InsideFile>> files = list_inside(folder, path);
    if (!files && files.error().code == Code::kNotFound) {
      collected.missing.push_back(output);
      continue;
    }
    if (!files) return fail(files.error());
    const bool is_folder = open_inside(folder, path, true).has_value();
    for (InsideFile file : *files) {
      if (!is_folder)
        file.path = path;
      else if (!path.empty())
        file.path = path + "/" + file.path;
      if (!seen.insert(file.path).second) continue;
      collected.bytes += file.size_bytes;
      if (collected.bytes > bytes_max || collected.files.size() >= kInsideFilesMax)
        return fail(Code::kResourceExhausted,
                    fmt::format("the outputs are more than {} or {} files", format_bytes(bytes_max),
                                kInsideFilesMax),
                    "workload.exec.outputs");
      collected.files.push_back(std::move(file));
    }
  }
  return collected;
}

}  // namespace overwinter::worker::exec
