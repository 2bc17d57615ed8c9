#include "worker/exec/descriptor.h"

#include <fcntl.h>

#include <cerrno>

namespace overwinter::worker::exec {

std::optional<std::string> read_small_file(const std::filesystem::path& path,
                                           std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::nullopt;
  std::string text;
  char piece[4096];
  while (text.size() < bytes_max) {
    const ssize_t got = ::read(file.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(piece, static_cast<std::size_t>(got));
  }
  if (text.size() > bytes_max) text.resize(bytes_max);
  return text;
}

int write_small_file(const std::filesystem::path& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  const ssize_t wrote = ::write(file.get(), text.data(), text.size());
  if (wrote < 0) return errno;
  return static_cast<std::size_t>(wrote) == text.size() ? 0 : EIO;
}

}  // namespace overwinter::worker::exec
