// What a line of the audit says of the thing that was decided on. Bounded: whatever the facts hold,
// no text is longer than kAuditTextMax bytes. This room's files alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/core/cluster_state.h"

namespace overwinter::store {

inline constexpr std::size_t kAuditTextMax = 1000;

// Cut at a whole character, with "…", when it is longer.
[[nodiscard]] std::string audit_text(std::string text);

// "submitter of projects/p, for ann, until 2026-11-24T…Z".
[[nodiscard]] std::string token_words(Role role, std::string_view project, std::string_view name,
                                      std::optional<Time> expires);
// "2 uses left until 2026-11-24T…Z, for ann, of projects/p, may set its price".
[[nodiscard]] std::string join_file_words(const core::JoinFile& file);
// "with join_files/3, 1.89 an hour, spot, of projects/p".
[[nodiscard]] std::string worker_words(const core::WorkerRegistered& worker);
// "USD, 2 entries: cpu 0.36 from 2026-11-01T…Z, H100 of acme 2.1 spot from …".
[[nodiscard]] std::string generation_words(const core::StoreGeneration& generation);
[[nodiscard]] std::string price_words(const ledger::PriceBook& book);
// "cap 0.50, priority normal".
[[nodiscard]] std::string job_words(std::optional<Money> cap, std::optional<Priority> priority);

[[nodiscard]] std::string_view state_word(core::JobState state);
[[nodiscard]] std::string_view state_word(core::WorkerState state);

}  // namespace overwinter::store
