// A file descriptor and a listed folder that close themselves, and small files of the kernel read
// and written whole.
#pragma once

#include <dirent.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace overwinter::worker::exec {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Of a std::unique_ptr<DIR, CloseFolder>.
struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// What a file under /proc or /sys says, at most `bytes_max` of it; nothing when it cannot be read.
[[nodiscard]] std::optional<std::string> read_small_file(const std::filesystem::path& path,
                                                         std::size_t bytes_max = 64 * 1024);
// One write(2) of the whole text to a file that is there; errno on failure, else 0.
[[nodiscard]] int write_small_file(const std::filesystem::path& path, std::string_view text);

}  // namespace overwinter::worker::exec
