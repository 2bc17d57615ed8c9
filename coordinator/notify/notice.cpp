#include "coordinator/notify/notice.h"

#include <array>
#include <utility>

namespace overwinter::notify {
namespace {

constexpr std::array<std::pair<Event, std::string_view>, 6> kNames{{
    {Event::kFailed, "failed"},
    {Event::kPaused, "paused"},
    {Event::kCap80, "cap-80"},
    {Event::kWorkerLost, "worker-lost"},
    {Event::kWaiting, "waiting-1h"},
    {Event::kIdle, "idle"},
}};

}  // namespace

std::string_view event_name(Event event) {
  for (const auto& [value, name] : kNames) {
    if (value == event) return name;
  }
  return {};
}

std::optional<Event> parse_event(std::string_view text) {
  for (const auto& [value, name] : kNames) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::string event_names() {
  std::string out;
  for (const auto& [value, name] : kNames) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace overwinter::notify
