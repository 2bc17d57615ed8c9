// MemoryTrace: what some threads asked a resource for and gave back, in order; recorded, kept as a
// file, played again (trace_replay.h).
//
// The file, version 1; all numbers are LEB128 (7 bits a byte, the lowest first, at most 10 bytes):
//
//   "OWTRACE1"  threads  events
//   an allocation:  2 * thread      bytes  log2(alignment)      blocks are numbered in this order
//   a free:         2 * thread + 1  how many blocks were allocated since (0: the last one)
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "worker/memory/logging_resource.h"

namespace overwinter::worker {

struct TraceEvent {
  bool frees = false;
  std::uint32_t thread = 0;
  std::uint32_t block = 0;
  std::uint64_t bytes = 0;       // of the block, of a free too
  std::uint32_t alignment = 64;  // likewise
};

// Blocks are numbered by their allocation, are freed once or not at all, and are not empty.
struct MemoryTrace {
  std::uint32_t threads = 0;
  std::uint32_t blocks = 0;
  std::vector<TraceEvent> events;

  // The most that was held at once, in the order of the events.
  [[nodiscard]] std::uint64_t peak_bytes() const;
};

inline constexpr std::uint32_t kTraceThreadsMax = 256;
inline constexpr std::uint32_t kTraceEventsMax = 1U << 28;

[[nodiscard]] std::string write_trace(const MemoryTrace& trace);
// INVALID_ARGUMENT says at which byte what is wrong. Takes no more memory than a small multiple of
// the file, whatever it says.
[[nodiscard]] Result<MemoryTrace> read_trace(std::span<const std::byte> file);

// Makes a trace of what LoggingResources (and others) tell. Thread-safe. Threads are numbered as
// they come. A free of what was not told is left out, as are refusals.
class TraceRecorder {
 public:
  void note(const MemoryMove& move);
  // What was told until now. At most kTraceThreadsMax threads and kTraceEventsMax moves are kept.
  [[nodiscard]] MemoryTrace trace() const;

 private:
  mutable Mutex mutex_;
  MemoryTrace trace_ OW_GUARDED_BY(mutex_);
  std::map<std::thread::id, std::uint32_t> threads_ OW_GUARDED_BY(mutex_);
  std::map<const void*, std::uint32_t> live_ OW_GUARDED_BY(mutex_);  // index of its allocation
};

}  // namespace overwinter::worker
