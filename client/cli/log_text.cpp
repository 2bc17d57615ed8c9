#include "client/cli/log_text.h"

#include <algorithm>

namespace overwinter::cli {
namespace {

// How much of the beginning is an escape sequence: ESC [ … letter, ESC ] … BEL, ESC and one more.
std::size_t escape_at(std::string_view text) {
  if (text.size() < 2 || text[0] != '\x1B') return 0;
  std::size_t at = 2;
  if (text[1] == '[') {
    while (at < text.size() && !(text[at] >= '@' && text[at] <= '~')) ++at;
  } else if (text[1] == ']') {
    while (at < text.size() && text[at] != '\a' && text[at] != '\x1B') ++at;
    if (at < text.size() && text[at] == '\x1B') ++at;
  } else {
    return 2;
  }
  return std::min(at + 1, text.size());
}

}  // namespace

std::string log_text(std::string_view line) {
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const std::size_t drawn = line.rfind('\r'); drawn != std::string_view::npos)
    line.remove_prefix(drawn + 1);
  std::string out;
  while (!line.empty()) {
    if (const std::size_t length = escape_at(line); length > 0) {
      line.remove_prefix(length);
      continue;
    }
    const auto byte = static_cast<unsigned char>(line[0]);
    // U+0080 to U+009F: what an eight-bit terminal takes for escape sequences.
    const bool is_c1 =
        byte == 0xC2 && line.size() > 1 && static_cast<unsigned char>(line[1]) < 0xA0;
    if (is_c1 || (byte < 0x20 && byte != '\t') || byte == 0x7F)
      out += '?';
    else
      out += line[0];
    line.remove_prefix(is_c1 ? 2 : 1);
  }
  return out;
}

}  // namespace overwinter::cli
