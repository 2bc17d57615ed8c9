#include "common/base/time.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace overwinter {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

sys_days day_of(Time t) {
  return std::chrono::floor<days>(std::chrono::sys_time<Duration>(t.time_since_epoch()));
}

// Exactly `digits` decimal digits at the front of text, taken off it.
bool take_number(std::string_view& text, std::size_t digits, int& out) {
  if (text.size() < digits) return false;
  out = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

// Z, +HH:MM or -HH:MM, and nothing behind it.
bool take_offset(std::string_view text, std::chrono::minutes& out) {
  if (text == "Z" || text == "z") {
    out = std::chrono::minutes(0);
    return true;
  }
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return false;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  int hours = 0;
  int minutes = 0;
  if (!take_number(text, 2, hours) || !take(text, ':') || !take_number(text, 2, minutes))
    return false;
  out = std::chrono::minutes(sign * (hours * 60 + minutes));
  return text.empty() && hours < 24 && minutes < 60;
}

// ".123": to whole milliseconds, further digits are dropped.
bool take_fraction(std::string_view& text, int& ms) {
  ms = 0;
  if (!take(text, '.')) return true;
  int scale = 100;
  std::size_t digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    ms += (text.front() - '0') * scale;
    scale /= 10;
    ++digits;
    text.remove_prefix(1);
  }
  return digits > 0 && digits <= 9;
}

struct DurationUnit {
  std::string_view name;
  double ms;
};
constexpr DurationUnit kDurationUnits[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};

}  // namespace

std::string format_time(Time t) {
  const sys_days day = day_of(t);
  const year_month_day date(day);
  const auto rest = std::chrono::sys_time<Duration>(t.time_since_epoch()) - day;
  const auto ms = rest.count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

Result<Time> parse_time(std::string_view text) {
  const auto refuse = [original = std::string(text.substr(0, 40))] {
    return fail(Code::kInvalidArgument, "\"" + original +
                                            "\" is not a time; write for example 2026-11-24 or "
                                            "2026-11-24T10:00:00Z");
  };
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
      !take(text, '-') || !take_number(text, 2, day)) {
    return refuse();
  }
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return refuse();
  Time time(Duration(sys_days(date).time_since_epoch()));
  if (text.empty()) return time;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int ms = 0;
  std::chrono::minutes offset{0};
  if (!(take(text, 'T') || take(text, 't') || take(text, ' ')) || !take_number(text, 2, hour) ||
      !take(text, ':') || !take_number(text, 2, minute) || !take(text, ':') ||
      !take_number(text, 2, second) || !take_fraction(text, ms) || !take_offset(text, offset)) {
    return refuse();
  }
  if (hour > 23 || minute > 59 || second > 59) return refuse();
  time += std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second) +
          Duration(ms) - offset;
  return time;
}

std::string format_duration(Duration d) {
  const std::int64_t ms = d.count();
  if (ms < 0) return "-" + format_duration(-d);
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f}s", std::floor(static_cast<double>(ms) / 100) / 10);
  const std::int64_t seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  const std::int64_t minutes = seconds / 60;
  const std::int64_t hours = minutes / 60;
  if (hours < 24) return fmt::format("{}h {}m", hours, minutes % 60);
  return fmt::format("{}d {}h", hours / 24, hours % 24);
}

Result<Duration> parse_duration(std::string_view text) {
  const auto refuse = [&] {
    return fail(Code::kInvalidArgument,
                "\"" + std::string(text.substr(0, 40)) +
                    "\" is not a duration; write for example 90s, 30m or 1h30m");
  };
  std::string_view rest = text;
  double total = 0;
  if (rest.empty()) return refuse();
  while (!rest.empty()) {
    double number = 0;
    const auto [end, parsed] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (parsed != std::errc() || number < 0 || !std::isfinite(number)) return refuse();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    std::size_t letters = 0;
    while (letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z') ++letters;
    const std::string_view unit = rest.substr(0, letters);
    double scale = 0;
    for (const DurationUnit& known : kDurationUnits) {
      if (unit == known.name) scale = known.ms;
    }
    if (scale == 0) return refuse();
    total += number * scale;
    rest.remove_prefix(letters);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  }
  if (total > 3.2e14) return refuse();  // ten thousand years
  return Duration(std::llround(total));
}

Time next_month_start(Time t) {
  const year_month_day date(day_of(t));
  const auto next = date.year() / date.month() + std::chrono::months(1);
  return Time(Duration(sys_days(next / 1).time_since_epoch()));
}

}  // namespace overwinter
