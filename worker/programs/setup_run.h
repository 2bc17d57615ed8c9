// A tree of processes that is waited for.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string_view>

#include "common/base/result.h"
#include "worker/exec/keeper_protocol.h"

namespace overwinter::worker {

// Its lines go to `line`, from another thread. FAILED_PRECONDITION: it ended badly; how, and its
// last words. CANCELLED after a stop, when everything of it has ended.
[[nodiscard]] Status run_to_end(const exec::TreeOrder& order, const std::filesystem::path& keeper,
                                const std::function<void(bool error, std::string_view)>& line,
                                const std::stop_token& stop);

}  // namespace overwinter::worker
