#include "common/security/hidden_input.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/base/bytes.h"

namespace overwinter {
namespace {

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

// Of a pipe byte by byte where a line is wanted: what stands behind it is the next reader's.
Result<std::string> read_value(const HiddenInput& from, bool one_line) {
  std::string value;
  std::array<char, 4096> buffer{};
  const std::size_t at_once = one_line ? 1 : buffer.size();
  while (value.size() <= from.bytes_max + 1) {
    const ssize_t n = ::read(from.input, buffer.data(), at_once);
    const bool given_up = n < 0 && errno == EINTR && from.interrupted && from.interrupted();
    if (given_up) return fail(Code::kCancelled, "interrupted");
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fail(Code::kInvalidArgument,
                  std::string("cannot read the value: ") + std::strerror(errno));
    value.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0 || (one_line && value.ends_with('\n'))) break;
  }
  if (value.ends_with('\n')) value.pop_back();
  if (value.size() > from.bytes_max)
    return fail(Code::kInvalidArgument, "the value is longer than " + format_bytes(from.bytes_max));
  return value;
}

}  // namespace

Result<std::string> read_hidden(const HiddenInput& from) {
  if (::isatty(from.input) != 1) return read_value(from, from.one_line);
  const Quiet quiet(from.input);
  if (!quiet.changed())
    return fail(Code::kInvalidArgument, "the terminal does not stop showing what is typed", {},
                from.otherwise);
  write_text(from.ask, from.prompt);
  return read_value(from, true);
}

}  // namespace overwinter
