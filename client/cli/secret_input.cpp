#include "client/cli/secret_input.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "client/cli/globals.h"

namespace overwinter::cli {
namespace {

constexpr std::size_t kValueBytesMax = std::size_t{64} * 1024;

void write_text(int descriptor, const std::string& text) {
  // A prompt that nobody sees is no reason to fail.
  if (::write(descriptor, text.data(), text.size()) < 0) return;
}

// No echo as long as it lives.
class Quiet {
 public:
  explicit Quiet(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;  // the line end is shown, so that the next line is one
    changed_ = ::tcsetattr(terminal, TCSAFLUSH, &quiet) == 0;
  }
  ~Quiet() {
    if (changed_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  [[nodiscard]] bool changed() const { return changed_; }

 private:
  const int terminal_;
  termios before_{};
  bool changed_ = false;
};

Result<std::string> read_until_end(int input, bool one_line) {
  std::string value;
  std::array<char, 4096> buffer{};
  while (value.size() <= kValueBytesMax + 1) {
    const ssize_t n = ::read(input, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR && !interrupted()) continue;
    if (n < 0 && errno == EINTR) return fail(Code::kCancelled, "interrupted");
    if (n < 0)
      return fail(Code::kInvalidArgument,
                  std::string("cannot read the value: ") + std::strerror(errno));
    value.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0 || (one_line && value.ends_with('\n'))) break;
  }
  if (value.ends_with('\n')) value.pop_back();
  if (value.size() > kValueBytesMax)
    return fail(Code::kInvalidArgument, "the value is longer than 64 KiB");
  return value;
}

}  // namespace

Result<std::string> read_secret(int input, int ask, const std::string& name) {
  if (::isatty(input) != 1) return read_until_end(input, false);
  const Quiet quiet(input);
  if (!quiet.changed())
    return fail(Code::kInvalidArgument, "the terminal does not stop showing what is typed", {},
                "give the value by a pipe: overwinter secrets set " + name + " < FILE");
  write_text(ask, "value of " + name + " (not shown): ");
  return read_until_end(input, true);
}

}  // namespace overwinter::cli
