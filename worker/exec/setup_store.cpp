#include "worker/exec/setup_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/formats/digest.h"

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReasonMax = 1000;

Status setup_failed(std::string_view what, const fs::path& path) {
  return error(errno == ENOSPC ? Code::kResourceExhausted : Code::kInternal,
               fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

// Whole or not there.
Status write_marker(const fs::path& path, std::string_view text) {
  const fs::path draft = path.string() + ".tmp";
  const Descriptor file(
      ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid() ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0 || ::rename(draft.c_str(), path.c_str()) != 0)
    return setup_failed("write", path);
  return Status::success();
}

Status make_readable(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return setup_failed("look at", path);
  if (::lchown(path.c_str(), ::geteuid(), ::getegid()) != 0) return setup_failed("take back", path);
  if (S_ISLNK(status.st_mode)) return Status::success();
  const bool runs = S_ISDIR(status.st_mode) || (status.st_mode & S_IXUSR) != 0;
  if (::chmod(path.c_str(), runs ? 0755 : 0644) != 0) return setup_failed("set the mode of", path);
  return Status::success();
}

}  // namespace

Digest setup_key(const std::string& project, const std::string& workdir_digest,
                 const std::string& setup) {
  const std::string text = fmt::format("{}:{}{}:{}{}:{}", project.size(), project,
                                       workdir_digest.size(), workdir_digest, setup.size(), setup);
  return formats::sha256(std::as_bytes(std::span(text.data(), text.size())));
}

Result<SetupSlot> SetupSlot::open(const fs::path& base, const Digest& key) {
  std::error_code code;
  fs::create_directories(base, code);
  if (code || ::chmod(base.c_str(), 0711) != 0) return fail(setup_failed("make", base));
  SetupSlot slot;
  slot.folder_ = base / to_hex(key);
  const fs::path lock = slot.folder_.string() + ".lock";
  slot.lock_ = Descriptor(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!slot.lock_.valid()) return fail(setup_failed("open", lock));
  if (::flock(slot.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::kUnavailable, "the same setup is under way for another attempt");
  if (fs::exists(slot.folder_ / "ready")) {
    slot.state_ = State::kReady;
    return slot;
  }
  if (const auto reason = read_small_file(slot.folder_ / "failed", kReasonMax)) {
    slot.state_ = State::kFailed;
    slot.reason_ = *reason;
    return slot;
  }
  fs::remove_all(slot.folder_, code);
  for (const fs::path& path : {slot.folder_, slot.work(), slot.python()})
    if (::mkdir(path.c_str(), 0711) != 0 || ::chmod(path.c_str(), 0711) != 0)
      return fail(setup_failed("make", path));
  return slot;
}

Status SetupSlot::finish() {
  std::error_code code;
  for (const fs::path& top : {work(), python()}) {
    if (Status status = make_readable(top); !status.ok()) return status;
    for (fs::recursive_directory_iterator at(top, code);
         !code && at != fs::recursive_directory_iterator(); at.increment(code))
      if (Status status = make_readable(at->path()); !status.ok()) return status;
  }
  if (code)
    return error(Code::kInternal,
                 fmt::format("cannot list {}: {}", folder_.string(), code.message()));
  state_ = State::kReady;
  return write_marker(folder_ / "ready", "");
}

Status SetupSlot::fail_for_good(const std::string& reason) {
  reason_ = reason.substr(0, kReasonMax);
  state_ = State::kFailed;
  return write_marker(folder_ / "failed", reason_);
}

std::map<std::string, std::string> SetupSlot::environment(bool for_setup) const {
  std::map<std::string, std::string> out{{"PYTHONUSERBASE", python().string()}};
  if (for_setup) {
    out["PIP_USER"] = "1";
    out["PIP_BREAK_SYSTEM_PACKAGES"] = "1";
    out["PIP_NO_CACHE_DIR"] = "1";
    out["PIP_DISABLE_PIP_VERSION_CHECK"] = "1";
  }
  return out;
}

Status link_setup(const fs::path& setup_work, const fs::path& work) {
  std::error_code code;
  for (fs::directory_iterator at(setup_work, code); !code && at != fs::directory_iterator();
       at.increment(code)) {
    const fs::path mine = work / at->path().filename();
    const fs::file_status status = fs::symlink_status(mine);
    if (!fs::exists(status)) {
      if (::symlink(at->path().c_str(), mine.c_str()) != 0) return setup_failed("make", mine);
    } else if (fs::is_directory(status) && fs::is_directory(at->symlink_status())) {
      if (Status linked = link_setup(at->path(), mine); !linked.ok()) return linked;
    }
  }
  if (code)
    return error(Code::kInternal,
                 fmt::format("cannot list {}: {}", setup_work.string(), code.message()));
  return Status::success();
}

}  // namespace overwinter::worker::exec
