#include "coordinator/artifacts/file_port.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace overwinter::artifacts {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;

Status errno_status(std::string_view doing, const std::string& path, int number,
                    bool must_not_fail = false) {
  const std::string text = std::generic_category().message(number);
  std::string message = fmt::format("{} {} failed: {}.", doing, path, text);
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return error(Code::kResourceExhausted, std::move(message));
    case ENOENT:
      return error(Code::kNotFound, std::move(message));
    case EEXIST:
      return error(Code::kAlreadyExists, std::move(message));
    default:
      return error(must_not_fail ? Code::kDataLoss : Code::kInternal, std::move(message));
  }
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFile() override { ::close(descriptor_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Status read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno_status("Reading", path_, errno);
      if (got == 0)
        return error(Code::kOutOfRange,
                     fmt::format("{} ends at {}, before what was to be read.", path_, offset));
      offset += static_cast<std::uint64_t>(got);
      out = out.subspan(static_cast<std::size_t>(got));
    }
    return Status::success();
  }

  Status write_at(std::uint64_t offset, std::span<const std::byte> data) override {
    while (!data.empty()) {
      const ssize_t put =
          ::pwrite(descriptor_, data.data(), data.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno_status("Writing", path_, errno, true);
      offset += static_cast<std::uint64_t>(put);
      data = data.subspan(static_cast<std::size_t>(put));
    }
    return Status::success();
  }

  Status allocate(std::uint64_t size_bytes) override {
    if (size_bytes == 0) return Status::success();
    // Where the file system has no reservations, glibc writes to each block.
    int code = 0;
    do {
      code = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size_bytes));
    } while (code == EINTR);
    return code == 0 ? Status::success() : errno_status("Reserving disk for", path_, code);
  }

  Status sync() override {
    // fdatasync covers the length and the extents, not the times.
    if (::fdatasync(descriptor_) == 0) return Status::success();
    // Whatever the number says (a full disk too), written pages may be lost already.
    Status status = errno_status("Syncing", path_, errno, true);
    status.code = Code::kDataLoss;
    return status;
  }

  Result<std::uint64_t> size_bytes() const override {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0) return fail(errno_status("Looking at", path_, errno));
    return static_cast<std::uint64_t>(info.st_size);
  }

  int descriptor() const override { return descriptor_; }

 private:
  const int descriptor_;
  const std::string path_;
};

class PosixFiles final : public FilePort {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC | O_NOFOLLOW;
    switch (mode) {
      case OpenMode::kRead:
        flags |= O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        flags |= O_RDWR;
        break;
      case OpenMode::kCreate:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    }
    const int descriptor = ::open(path.c_str(), flags, kFileMode);
    if (descriptor < 0) return fail(errno_status("Opening", path, errno));
    return std::make_unique<PosixFile>(descriptor, path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return Status::success();
    return errno_status("Renaming", from, errno);
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return Status::success();
    return errno_status("Removing", path, errno);
  }

  Status make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), kFolderMode) == 0) return Status::success();
    struct stat info {};
    const int number = errno;
    if (number == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
      return Status::success();
    return errno_status("Making the folder", path, number);
  }

  Status remove_folder(const std::string& path) override {
    if (::rmdir(path.c_str()) == 0) return Status::success();
    return errno_status("Removing the folder", path, errno);
  }

  Status sync_folder(const std::string& path) override {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return errno_status("Opening the folder", path, errno);
    const int result = ::fsync(descriptor);
    const int number = errno;
    ::close(descriptor);
    if (result == 0) return Status::success();
    Status status = errno_status("Syncing the folder", path, number, true);
    status.code = Code::kDataLoss;
    return status;
  }

  Result<std::vector<std::string>> list(const std::string& path) const override {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return fail(errno_status("Listing", path, errno));
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    const int number = errno;
    ::closedir(folder);
    if (number != 0) return fail(errno_status("Listing", path, number));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::uint64_t> file_size(const std::string& path) const override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail(errno_status("Looking at", path, errno));
    if (!S_ISREG(info.st_mode)) return fail(Code::kNotFound, fmt::format("{} is no file.", path));
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<std::uint64_t> free_bytes(const std::string& path) const override {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) return fail(errno_status("Looking at", path, errno));
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }
};

}  // namespace

FilePort& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace overwinter::artifacts
