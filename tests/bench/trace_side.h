// One side of the suite `memory`: a trace of a training's memory, played in a process of its own,
// so that each allocator has a process that nothing else has used.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace overwinter::bench {

enum class Allocator { kNothing, kMalloc, kJemalloc, kPool };

struct TracePlay {
  double ns_a_move = 0;    // of the processor, all threads together; the median of short plays
  double held_share = 0;   // the pool's: the most it held, of the most that was live at once
  double again_calls = 0;  // the pool's: what it asked its upstream for after the first play
};

// The body of the child: plays the file's trace and prints the three figures. Blocks are aligned to
// `alignment` at least.
int play_trace(const std::string& file, const std::string& allocator, std::uint32_t alignment);
// Runs that child. UNAVAILABLE when jemalloc's library is not installed.
[[nodiscard]] Result<TracePlay> trace_play(const std::string& file, Allocator allocator,
                                           std::uint32_t alignment);

}  // namespace overwinter::bench
