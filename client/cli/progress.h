// Progress of long work on standard error: one redrawn line on a terminal, short plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace overwinter::cli {

// Draws at most ten times a second. Used by one thread.
class Progress {
 public:
  // `what`: "upload A.npy", "run", "download". `quiet`: draws nothing.
  Progress(std::string what, bool quiet);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Bytes done of total: shows rate and time left.
  void bytes(std::uint64_t done, std::uint64_t total);
  // A fraction in 0..1 and text that stands behind the bar.
  void fraction(double fraction, std::string_view detail);
  // A line of its own; the bar goes on below it.
  void line(std::string_view text);

 private:
  void draw(double fraction, const std::string& detail, bool last);

  std::string what_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  bool ended_ = false;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point drawn_at_;
};

}  // namespace overwinter::cli
