// Plays a MemoryTrace on a resource, with as many threads as it was recorded from.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/result.h"
#include "worker/memory/memory_resource.h"
#include "worker/memory/memory_trace.h"

namespace overwinter::worker {

struct ReplayOptions {
  std::uint32_t rounds = 1;
  // Writes a byte of each page that it gets, as whoever asks for memory does in the end.
  bool touch = false;
};

struct ReplayReport {
  std::uint64_t moves = 0;    // allocations and frees
  double wall_seconds = 0;    // from the first thread's begin to the last one's end
  double thread_seconds = 0;  // the processor's time of all threads
};

// Each thread makes its moves in order; who frees what another allocates waits for it. What the
// trace leaves live is freed at the end of each round by who allocated it. A refusal ends the
// replay: everything is given back, and its error returned.
[[nodiscard]] Result<ReplayReport> replay(const MemoryTrace& trace, MemoryResource& resource,
                                          const ReplayOptions& options = {});

// All moves by one thread in the order of the trace, once: the same every time.
Status replay_in_order(const MemoryTrace& trace, MemoryResource& resource);

}  // namespace overwinter::worker
