#include "coordinator/artifacts/incoming_file.h"

#include <fmt/format.h>

#include <utility>

namespace overwinter::artifacts {
namespace {

constexpr std::uint64_t kPieceBytesMax = kMiB;

}  // namespace

Result<std::unique_ptr<IncomingFile>> IncomingFile::create(FilePort& files, std::string path,
                                                           std::uint64_t size_bytes,
                                                           const Digest& digest) {
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::kCreate);
  if (!file) return fail(std::move(file.error()));
  std::unique_ptr<IncomingFile> incoming(
      new IncomingFile(files, std::move(path), size_bytes, digest));
  incoming->file_ = std::move(*file);
  if (Status status = incoming->file_->allocate(size_bytes); !status.ok())
    return fail(std::move(status));
  return incoming;
}

// What cannot be removed now is removed at the next start.
IncomingFile::~IncomingFile() {
  file_.reset();
  if (!published_) (void)files_.remove(path_);
}

Status IncomingFile::write(std::span<const std::byte> data) {
  if (data.size() > kPieceBytesMax)
    return error(Code::kInvalidArgument,
                 fmt::format("A piece of an upload has {}; the most is {}.",
                             format_bytes(data.size()), format_bytes(kPieceBytesMax)));
  if (data.size() > size_bytes_ - received_)
    return error(Code::kInvalidArgument,
                 fmt::format("The upload is longer than the {} bytes it announced.", size_bytes_));
  if (Status status = file_->write_at(received_, data); !status.ok()) return status;
  digester_.update(data);
  received_ += data.size();
  return Status::success();
}

Status IncomingFile::finish() {
  if (received_ != size_bytes_)
    return error(Code::kInvalidArgument,
                 fmt::format("The upload ended after {} of the {} bytes it announced.", received_,
                             size_bytes_));
  if (digester_.finish() != digest_)
    return error(Code::kInvalidArgument,
                 "The content is not what its digest says: the file was changed or damaged on "
                 "its way.",
                 {}, "Upload it again.");
  return file_->sync();
}

Status IncomingFile::publish(const std::string& path) {
  Status status = files_.rename(path_, path);
  published_ = status.ok();
  return status;
}

}  // namespace overwinter::artifacts
