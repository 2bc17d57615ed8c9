#include "coordinator/store/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"

namespace overwinter::store {
namespace {

std::string holder_of(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!pid.empty() && (pid.back() < '0' || pid.back() > '9')) pid.pop_back();
  return pid.empty() ? std::string() : " (process " + pid + ")";
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  if (Status status = ensure_private_folder(folder); !status.ok()) return fail(std::move(status));
  const std::filesystem::path file = folder / "lock";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) {
    return fail(Code::kInternal, "cannot open " + file.string() + ": " + std::strerror(errno));
  }
  FolderLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kFailedPrecondition,
                "another coordinator" + holder_of(descriptor) + " is using " + folder.string(),
                "data", "stop it first, or give this one another folder");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  // For the sentence above alone: a failure to write it is no failure to lock.
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    log_warning("cannot write the process number to {}", file.string());
  }
  return lock;
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

SpaceReserve::SpaceReserve(std::filesystem::path file, std::uint64_t bytes)
    : file_(std::move(file)), bytes_(bytes) {
  std::error_code missing;
  const std::uintmax_t held = std::filesystem::file_size(file_, missing);
  const bool taken = !missing && held >= bytes_;
  if (taken || free_bytes(file_.parent_path()) / 2 >= bytes_) restore();
}

void SpaceReserve::give_up(const std::filesystem::path& file) {
  std::error_code missing;
  if (!std::filesystem::exists(file, missing) || ::truncate(file.c_str(), 0) != 0) return;
  log_warning("the disk is full; the start goes on from the store's reserve");
}

void SpaceReserve::restore() {
  MutexLock lock(mutex_);
  if (!in_use_) return;
  const int descriptor = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return;
  const int code = bytes_ == 0 ? 0 : ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes_));
  if (code == 0) {
    in_use_ = false;
  } else if (::ftruncate(descriptor, 0) != 0) {
    log_warning("cannot give back the space of {}", file_.string());
  }
  ::close(descriptor);
}

bool SpaceReserve::give_up() {
  // Who comes second waits: it tries again at once, and must find the space.
  MutexLock lock(mutex_);
  if (in_use_.exchange(true)) return false;
  return ::truncate(file_.c_str(), 0) == 0;
}

std::uint64_t free_bytes(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return 0;
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace overwinter::store
