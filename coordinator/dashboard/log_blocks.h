// Blocks of a job's log, by the numbers that its lines have, and a search through all of them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "coordinator/telemetry/telemetry.h"

namespace overwinter::dashboard {

inline constexpr std::size_t kBlockLinesMax = 500;
inline constexpr std::size_t kHitsMax = 200;

// Which block. One of `before`, `from` and neither: the last one.
struct BlockQuery {
  std::optional<std::uint32_t> rank;
  std::optional<AttemptNumber> attempt;
  std::optional<std::uint64_t> from;    // lines with this number or a larger one, from the first on
  std::optional<std::uint64_t> before;  // the last lines with smaller numbers
  std::size_t lines_max = kBlockLinesMax;
};

struct LogBlock {
  std::vector<telemetry::LogItem> items;  // in the order of their numbers
  bool has_earlier = false;               // there may be lines before the first
  bool has_later = false;                 // there are lines behind the last
  std::uint64_t next = 0;                 // `from` to go on with
};

// May wait for the disk.
[[nodiscard]] Result<LogBlock> read_block(telemetry::Telemetry& telemetry,
                                          const telemetry::JobKey& key, const BlockQuery& query);

// Lines that hold `text` (ASCII letters of either case), from number `from` on, at most kHitsMax.
// Looks at kSearchedMax lines at most: `next` is where to go on, and `has_later` says whether there
// is something to go on with.
[[nodiscard]] Result<LogBlock> search(telemetry::Telemetry& telemetry, const telemetry::JobKey& key,
                                      const BlockQuery& query, const std::string& text);
inline constexpr std::size_t kSearchedMax = 200'000;

[[nodiscard]] nlohmann::json block_json(const LogBlock& block);

}  // namespace overwinter::dashboard
