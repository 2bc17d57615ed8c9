#include "client/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "common/base/bytes.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr int kBarWidth = 20;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainEvery = std::chrono::seconds(5);

}  // namespace

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      started_(std::chrono::steady_clock::now()),
      drawn_at_(terminal_ ? started_ - kRedraw : started_) {}

Progress::~Progress() {
  if (drawn_ && terminal_) std::fputc('\n', stderr);
}

void Progress::bytes(std::uint64_t done, std::uint64_t total) {
  if (quiet_) return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string detail = format_bytes(done) + " of " + format_bytes(total);
  if (rate > 0 && seconds > 0.2) {
    detail += fmt::format("  {}/s", format_bytes(static_cast<std::uint64_t>(rate)));
    const double left = static_cast<double>(total - std::min(done, total)) / rate;
    if (done < total) {
      detail += "  " + format_duration(Duration(static_cast<std::int64_t>(left * 1000))) + " left";
    }
  }
  const double fraction = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  draw(fraction, detail, done >= total);
}

void Progress::fraction(double fraction, std::string_view detail) {
  if (quiet_) return;
  draw(fraction, std::string(detail), fraction >= 1);
}

void Progress::line(std::string_view text) {
  if (quiet_) return;
  if (terminal_ && drawn_) std::fputs("\r\033[K", stderr);
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

void Progress::draw(double fraction, const std::string& detail, bool last) {
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int percent = static_cast<int>(fraction * 100);
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_) {
    // A log stays short: a line now and then, and one at the end.
    if (ended_ || (!last && now - drawn_at_ < kPlainEvery)) return;
    ended_ = last;
    drawn_at_ = now;
    std::fprintf(stderr, "%s: %d %%  %s\n", what_.c_str(), percent, detail.c_str());
    return;
  }
  if (!last && now - drawn_at_ < kRedraw) return;
  drawn_at_ = now;
  drawn_ = true;
  const int filled = static_cast<int>(fraction * kBarWidth);
  std::fprintf(stderr, "\r%s [%s%s] %3d %%  %s\033[K", what_.c_str(),
               std::string(static_cast<std::size_t>(filled), '#').c_str(),
               std::string(static_cast<std::size_t>(kBarWidth - filled), '.').c_str(), percent,
               detail.c_str());
  std::fflush(stderr);
}

}  // namespace overwinter::cli
