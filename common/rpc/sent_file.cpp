#include "common/rpc/sent_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/formats/digest.h"
#include "common/rpc/checked_file.h"

namespace overwinter {

Result<std::unique_ptr<SentFile>> SentFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(io_error("read", path));
  return std::unique_ptr<SentFile>(new SentFile(path, descriptor));
}

SentFile::~SentFile() {
  ::close(descriptor_);
}

Result<std::string> SentFile::piece(std::size_t most) {
  std::string piece(most, '\0');
  for (;;) {
    const ssize_t n = ::read(descriptor_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(io_error("read", path_));
    if (n == 0) return fail(Code::kDataLoss, path_.string() + " became shorter while it was sent");
    piece.resize(static_cast<std::size_t>(n));
    return piece;
  }
}

Result<FileContent> read_content(const std::filesystem::path& path, const std::stop_token& stop) {
  auto file = SentFile::open(path);
  if (!file) return fail(std::move(file.error()));
  formats::BlobDigester digester;
  for (;;) {
    if (stop.stop_requested()) return fail(Code::kCancelled, "the transfer was given up");
    const auto piece = (*file)->piece(kChunkBytes);
    if (!piece && piece.error().code == Code::kDataLoss) break;  // its end
    if (!piece) return fail(piece.error());
    digester.update(std::as_bytes(std::span(*piece)));
  }
  const std::uint64_t size = digester.size_bytes();
  return FileContent{digester.finish(), size};
}

}  // namespace overwinter
