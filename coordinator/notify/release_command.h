// The command that gives an idle machine back. Runs as a child process of the coordinator, by its
// absolute path and with nothing of the coordinator's: no shell, no descriptor, no environment but
// PATH and OVERWINTER_WORKER, a process group of its own.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::notify {

inline constexpr Duration kReleaseTime = std::chrono::minutes(1);

// 1 to 63 of a-z A-Z 0-9 - _ . that begin with a letter or a digit: what may stand in a command.
[[nodiscard]] bool safe_worker_name(std::string_view name);

// Waits for its end, at most `limit`; then, or once `stop` is set, kills its group. OK: it ended
// with 0. CANCELLED: it was stopped. INVALID_ARGUMENT: no safe name. Else one sentence with what it
// ended with. What it prints goes nowhere.
Status run_release_command(const std::vector<std::string>& command, const std::string& worker,
                           Duration limit, const std::atomic<bool>& stop);

}  // namespace overwinter::notify
