#include "common/security/file_io.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/security/random.h"

namespace overwinter {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

Status io_error(std::string_view doing, const std::filesystem::path& path, int number) {
  Code code = Code::kInternal;
  if (number == ENOENT) code = Code::kNotFound;
  if (number == EACCES || number == EPERM || number == EROFS) code = Code::kPermissionDenied;
  if (number == ENOSPC || number == EDQUOT) code = Code::kResourceExhausted;
  return error(code, fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(number)));
}

int write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// Creates, fills and fsyncs `path`; errno of what failed, 0 when nothing did.
int write_new(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (file.fd() < 0) return errno;
  if (::fchmod(file.fd(), mode) != 0) return errno;  // the umask may have taken bits away
  if (const int number = write_all(file.fd(), content); number != 0) return number;
  if (::fsync(file.fd()) != 0) return errno;
  return file.close() == 0 ? 0 : errno;
}

}  // namespace

Status fsync_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.empty() ? "." : path;
  const File file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0 || ::fsync(file.fd()) != 0) return io_error("sync the folder", folder, errno);
  return Status::success();
}

Status ensure_private_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return fsync_folder(path.parent_path());
  if (errno != EEXIST) return io_error("create the folder", path, errno);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return io_error("look at", path, errno);
  if (!S_ISDIR(info.st_mode))
    return error(Code::kFailedPrecondition, fmt::format("{} is not a folder", path.string()));
  if (info.st_uid != ::geteuid())
    return error(Code::kFailedPrecondition,
                 fmt::format("the folder {} belongs to another user", path.string()));
  if ((info.st_mode & 077) != 0)
    return error(Code::kFailedPrecondition,
                 fmt::format("the folder {} can be entered by others", path.string()), {},
                 fmt::format("chmod 700 {}", path.string()));
  return Status::success();
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode) {
  std::filesystem::path temporary = path;
  temporary += ".new-" + random_id(6);
  int number = write_new(temporary, content, mode);
  if (number == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) number = errno;
  if (number != 0) {
    ::unlink(temporary.c_str());
    return io_error("write", path, number);
  }
  return fsync_folder(path.parent_path());
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  // O_NONBLOCK: a pipe put in place of the file must not hang us.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) return fail(io_error("read", path, errno));
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return fail(io_error("look at", path, errno));
  if (!S_ISREG(info.st_mode))
    return fail(Code::kInvalidArgument, fmt::format("{} is not a regular file", path.string()));
  std::string content;
  char buffer[4096];
  while (content.size() <= bytes_max) {
    const ssize_t got = ::read(file.fd(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(io_error("read", path, errno));
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
  return fail(Code::kInvalidArgument,
              fmt::format("{} is longer than {} bytes", path.string(), bytes_max));
}

bool others_can_access(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0;
}

}  // namespace overwinter
