// What Open MPI prints, read: whose line it is, and which rank it says ended first.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

// Cuts a stream into lines of at most kLineBytesMax; a longer one comes in pieces.
class LineReader {
 public:
  static constexpr std::size_t kLineBytesMax = 8192;
  void append(std::string_view bytes) { buffer_.append(bytes); }
  // `all`: also what has no end of line yet.
  [[nodiscard]] std::vector<std::string> lines(bool all);

 private:
  std::string buffer_;
};

// `[1,3]<stderr>:text` (--tag-output) is a line of rank 3; anything else is Open MPI's own.
[[nodiscard]] GangOutput read_tag(std::string line);

// Takes Open MPI's own lines, in order.
class NoticeReader {
 public:
  void take(std::string_view line);
  // "mpirun noticed that process rank 1 … exited on signal 9 (Killed)." or "Process name: [[…],1]"
  // and "Exit code: 3".
  struct First {
    std::uint32_t rank = 0;
    std::optional<int> signal;
    std::optional<int> exit_code;
  };
  [[nodiscard]] const std::optional<First>& first() const { return first_; }
  // The first line that says something, at most kSaidBytesMax of it; empty when there was none.
  [[nodiscard]] const std::string& said() const { return said_; }
  static constexpr std::size_t kSaidBytesMax = 300;

 private:
  std::string said_;
  std::optional<std::uint32_t> named_;  // by "Process name:", before its exit code
  std::optional<First> first_;
};

}  // namespace overwinter::worker
