// Turns of facts ↔ their durable bytes (proto/overwinter/v1/fact.proto). Thread-safe, no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/core/fact.h"

namespace overwinter::wire {

// What encode_turn() writes. Older ones are read, newer ones refused.
inline constexpr std::uint32_t kFactVersion = 1;

struct DecodedTurn {
  std::uint64_t sequence = 0;
  Time time{};
  std::vector<core::Fact> facts;
};

// The same turn gives the same bytes in every run of one build (maps are written in key order).
[[nodiscard]] std::string encode_turn(std::uint64_t sequence, Time time,
                                      std::span<const core::Fact> facts);

// Any bytes at all are safe to give. DATA_LOSS: not what encode_turn() writes (the sentence names
// the fact and the field). FAILED_PRECONDITION: written by a newer program; names both versions.
[[nodiscard]] Result<DecodedTurn> decode_turn(std::string_view bytes);

}  // namespace overwinter::wire
