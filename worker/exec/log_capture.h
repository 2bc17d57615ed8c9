// What a program prints, as lines, within bounds: a program that prints a gigabyte delays nothing
// and fills nothing. What is over the bound is counted, and said where it is missing; of what was
// dropped last the end is kept, for there stands why the program died.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace overwinter::worker::exec {

// Where one stream's lines go. Called on the thread that feeds; must not block.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // Without its newline, at most LogBounds::line_bytes_max; any bytes, not only UTF-8. Of a line
  // that a carriage return has overwritten (a progress bar), what was written last.
  virtual void line(std::string_view text) = 0;
  // So many bytes are missing here.
  virtual void dropped(std::uint64_t bytes) = 0;
};

struct LogBounds {
  std::size_t line_bytes_max = 4096;  // a longer line comes in pieces
  std::uint64_t burst_bytes = 1 << 20;
  std::uint64_t bytes_per_second = 256 << 10;
  std::uint64_t tail_bytes = 16 << 10;
};

// Of one stream. One thread.
class LogCapture {
 public:
  LogCapture(const LogBounds& bounds, LogSink& sink);

  // `now`: of any clock that does not go back.
  void feed(std::chrono::milliseconds now, std::string_view bytes);
  // The stream is at its end: what is left, and the tail of what was dropped.
  void finish();

  [[nodiscard]] std::uint64_t bytes_seen() const { return seen_; }

 private:
  void end_line();
  void pass(std::string_view line);

  const LogBounds bounds_;
  LogSink& sink_;
  std::string partial_;
  std::uint64_t seen_ = 0;
  std::uint64_t tokens_;
  std::chrono::milliseconds filled_at_{0};
  bool begun_ = false;
  std::uint64_t dropped_ = 0;  // since the last line that passed, the tail included
  std::deque<std::string> tail_;
  std::uint64_t tail_bytes_ = 0;
};

}  // namespace overwinter::worker::exec
