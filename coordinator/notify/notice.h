// Notice: one thing that somebody wants to be told. Values alone; nothing here sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/money.h"
#include "common/base/time.h"
#include "common/domain/ids.h"

namespace overwinter::notify {

enum class Event : std::uint8_t {
  kFailed = 1,
  kPaused = 2,  // not by a person
  kCap80 = 3,   // what is charged and reserved passes 80 % of the cap
  kWorkerLost = 4,
  kWaiting = 5,  // a job is queued for an hour
  kIdle = 6,     // a machine that costs does nothing
};

// As the configuration writes it: failed, paused, cap-80, worker-lost, waiting-1h, idle.
[[nodiscard]] std::string_view event_name(Event event);
[[nodiscard]] std::optional<Event> parse_event(std::string_view name);
// All names, with commas.
[[nodiscard]] std::string event_names();

struct Notice {
  Event event = Event::kFailed;
  // What is told once is named by both. The first stands for what it is about ("job 12", "worker
  // 3", "idle 3"): when that is over, all its keys are forgotten.
  std::string owner;
  std::string key;
  JobId job;                          // of a job's event
  WorkerId worker;                    // of a machine's
  std::string name;                   // of the job or the machine, its last part
  std::string project;                // of the job
  std::vector<std::string> projects;  // that the machine serves; empty: all
  std::string state;
  std::string sentence;
  Money charged;
  std::optional<Money> cap;
  Time at{};
};

}  // namespace overwinter::notify
