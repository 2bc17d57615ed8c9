#include "worker/exec/log_capture.h"

#include <algorithm>

namespace overwinter::worker::exec {

LogCapture::LogCapture(const LogBounds& bounds, LogSink& sink)
    : bounds_(bounds), sink_(sink), tokens_(bounds.burst_bytes) {}

void LogCapture::feed(std::chrono::milliseconds now, std::string_view bytes) {
  if (!begun_) filled_at_ = now;
  begun_ = true;
  if (now > filled_at_) {
    const auto passed = static_cast<std::uint64_t>((now - filled_at_).count());
    const std::uint64_t most = bounds_.burst_bytes * 1000 / bounds_.bytes_per_second;
    tokens_ = std::min(bounds_.burst_bytes,
                       tokens_ + std::min(passed, most) * bounds_.bytes_per_second / 1000);
    filled_at_ = now;
  }
  seen_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t room = bounds_.line_bytes_max - partial_.size();
    if (newline != std::string_view::npos && newline <= room) {
      partial_.append(bytes.substr(0, newline));
      bytes.remove_prefix(newline + 1);
      end_line();
    } else if (bytes.size() >= room) {
      partial_.append(bytes.substr(0, room));
      bytes.remove_prefix(room);
      if (!bytes.empty()) end_line();
    } else {
      partial_.append(bytes);
      return;
    }
  }
}

void LogCapture::end_line() {
  std::string_view line = partial_;
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const std::size_t at = line.rfind('\r'); at != std::string_view::npos)
    line.remove_prefix(at + 1);
  pass(line);
  partial_.clear();
}

void LogCapture::pass(std::string_view line) {
  const std::uint64_t cost = line.size() + 1;
  if (cost <= tokens_) {
    tokens_ -= cost;
    if (dropped_ > 0) sink_.dropped(dropped_);
    dropped_ = 0;
    tail_.clear();
    tail_bytes_ = 0;
    sink_.line(line);
    return;
  }
  dropped_ += cost;
  tail_bytes_ += cost;
  tail_.emplace_back(line);
  while (tail_bytes_ > bounds_.tail_bytes && !tail_.empty()) {
    tail_bytes_ -= tail_.front().size() + 1;
    tail_.pop_front();
  }
}

void LogCapture::finish() {
  if (!partial_.empty()) end_line();
  if (dropped_ > tail_bytes_) sink_.dropped(dropped_ - tail_bytes_);
  for (const std::string& line : tail_) sink_.line(line);
  dropped_ = tail_bytes_ = 0;
  tail_.clear();
}

}  // namespace overwinter::worker::exec
