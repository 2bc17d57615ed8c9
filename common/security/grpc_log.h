// gRPC writes to standard error by itself, one line a failed handshake, which anyone can cause: it
// is bounded and goes into our log, or nowhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/mutex.h"

namespace overwinter {

inline constexpr int kGrpcLinesPerMinute = 10;

// Lets kGrpcLinesPerMinute lines a minute through and counts the rest. Thread-safe.
class LineLimit {
 public:
  // Whether a line at `now` (monotonic) may be written; `dropped`: how many were not since the last
  // that was.
  [[nodiscard]] bool take(std::chrono::nanoseconds now, std::uint64_t& dropped);

 private:
  Mutex mutex_;
  bool started_ OW_GUARDED_BY(mutex_) = false;
  std::chrono::nanoseconds minute_ OW_GUARDED_BY(mutex_){0};
  int written_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_ OW_GUARDED_BY(mutex_) = 0;
};

enum class GrpcLog { kQuiet, kToOurLog };

// For services kToOurLog (warnings, redacted, at most 10 a minute), for the command kQuiet: it says
// itself what went wrong. Call at the start of main, before any gRPC object.
void route_grpc_log(GrpcLog mode);

}  // namespace overwinter
