#include "common/rpc/checked_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace overwinter {

Status io_error(const std::string& doing, const std::filesystem::path& file) {
  const int number = errno;
  const Code code = number == ENOENT ? Code::kNotFound : Code::kFailedPrecondition;
  return error(code, "cannot " + doing + " " + file.string() + ": " + std::strerror(number));
}

Result<std::unique_ptr<CheckedFile>> CheckedFile::create(const std::filesystem::path& folder,
                                                         const CheckpointFile& file) {
  if (Status status = check_checkpoint_path(file.name); !status.ok())
    return fail(std::move(status));
  std::unique_ptr<CheckedFile> made(new CheckedFile(file, folder / file.name));
  std::error_code problem;
  std::filesystem::create_directories(made->place_.parent_path(), problem);
  if (problem) {
    return fail(
        Code::kFailedPrecondition,
        "cannot make the folder " + made->place_.parent_path().string() + ": " + problem.message());
  }
  std::string name = (made->place_.parent_path() / ".part-XXXXXX").string();
  made->descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (made->descriptor_ < 0) return fail(io_error("write", made->place_));
  made->temporary_ = std::move(name);
  return made;
}

CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status CheckedFile::write(std::string_view data) {
  digester_.update(std::as_bytes(std::span(data)));
  while (!data.empty()) {
    const ssize_t n = ::write(descriptor_, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_error("write", place_);
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return Status::success();
}

Status CheckedFile::finish() {
  if (digester_.size_bytes() != file_.size_bytes || digester_.finish() != file_.digest) {
    return error(Code::kDataLoss, "the file " + file_.name +
                                      " of the checkpoint came with other content than its digest "
                                      "says");
  }
  if (::fchmod(descriptor_, 0644) != 0 || ::fsync(descriptor_) != 0 ||
      ::rename(temporary_.c_str(), place_.c_str()) != 0) {
    return io_error("write", place_);
  }
  temporary_.clear();
  const int folder = ::open(place_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return Status::success();
}

}  // namespace overwinter
