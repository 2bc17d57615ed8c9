// The settings of what is told to whom: DATA_DIR/notify.yaml (README.md shows one). Hostile-input
// safe; thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/notify/hook_url.h"
#include "coordinator/notify/notice.h"

namespace overwinter::notify {

struct Hook {
  std::string name;  // 1 to 40 of a-z A-Z 0-9 - _ . : what logs, metrics and answers call it
  HookUrl url;
  std::set<Event> on;              // never empty
  std::set<std::string> projects;  // empty: all
  friend bool operator==(const Hook&, const Hook&) = default;
};

struct OnIdle {
  Duration after = std::chrono::minutes(30);
  std::vector<std::string> command;  // the program's absolute path first; empty: none
  std::set<std::string> workers;     // it is about these alone; empty: all
};

struct Settings {
  std::vector<Hook> hooks;
  OnIdle on_idle;
  std::string
      page;  // https://HOST:PORT, without a "/" at its end; empty: as the coordinator knows it

  [[nodiscard]] bool empty() const { return hooks.empty() && on_idle.command.empty(); }
};

inline constexpr std::size_t kSettingsBytesMax = std::size_t{64} * 1024;
inline constexpr std::size_t kHooksMax = 16;
// Stands in the command for the worker's name.
inline constexpr std::string_view kWorkerPlace = "{worker}";

// INVALID_ARGUMENT: "line 3: hooks[0].url must begin with https://", with the key in `field`. No
// value of the file is in the message: it may be an address in a wrong place. An empty text: no
// hooks.
[[nodiscard]] Result<Settings> parse_settings(std::string_view text);

// Whether the hook wants this notice. A machine's event is for hooks of a project that it serves.
[[nodiscard]] bool wants(const Hook& hook, const Notice& notice);

}  // namespace overwinter::notify
