#include "worker/runtime/gang_text.h"

#include <charconv>
#include <utility>

namespace overwinter::worker {
namespace {

// The number that follows `before` in `line`.
std::optional<std::uint32_t> number_after(std::string_view line, std::string_view before) {
  const std::size_t at = line.find(before);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(at + before.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (failed != std::errc() || end == rest.data()) return std::nullopt;
  return number;
}

}  // namespace

std::vector<std::string> LineReader::lines(bool all) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < buffer_.size()) {
    const std::size_t end = buffer_.find('\n', at);
    const std::size_t length = std::min(end, buffer_.size()) - at;
    if (length > kLineBytesMax) {
      out.push_back(buffer_.substr(at, kLineBytesMax));
      at += kLineBytesMax;
    } else if (end != std::string::npos || all) {
      out.push_back(buffer_.substr(at, length));
      at += length + (end != std::string::npos ? 1 : 0);
    } else {
      break;
    }
  }
  buffer_.erase(0, at);
  return out;
}

GangOutput read_tag(std::string line) {
  GangOutput out;
  const std::size_t close = line.find(']');
  const std::size_t comma = line.find(',');
  if (line.starts_with('[') && comma < close && close != std::string::npos) {
    const std::string_view rest = std::string_view(line).substr(close + 1);
    const auto rank = number_after(line, ",");
    const bool errors = rest.starts_with("<stderr>:");
    if (rank && (errors || rest.starts_with("<stdout>:"))) {
      out.rank = rank;
      out.error = errors;
      out.text = rest.substr(9);
      return out;
    }
  }
  out.error = true;
  out.text = std::move(line);
  return out;
}

void NoticeReader::take(std::string_view line) {
  if (said_.empty() && line.find_first_not_of("- \t\r") != std::string_view::npos) {
    said_ = line.substr(0, kSaidBytesMax);
  }
  if (first_) return;
  if (const auto rank = number_after(line, "noticed that process rank ")) {
    First first{*rank, std::nullopt, std::nullopt};
    if (const auto signal = number_after(line, "exited on signal ")) {
      first.signal = static_cast<int>(*signal);
    }
    first_ = first;
    return;
  }
  if (line.find("Process name:") != std::string_view::npos) named_ = number_after(line, "],");
  if (const auto code = number_after(line, "Exit code:"); code && named_) {
    first_ = First{*named_, std::nullopt, static_cast<int>(*code)};
  }
}

}  // namespace overwinter::worker
