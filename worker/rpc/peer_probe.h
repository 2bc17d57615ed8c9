// Whether another worker answers on its peer port, how quickly, and how fast the way there is.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/ids.h"

namespace overwinter::worker {

struct PeerProbeWish {
  Duration within{4'000};       // to dial and to be answered
  std::uint64_t bytes_max = 0;  // sent to measure the rate; 0: it is not measured
  Duration rate_within{1'000};  // no more is begun after this
};

struct PeerProbe {
  std::chrono::microseconds round_trip{0};  // of an empty call, the shortest of a few
  std::uint64_t bytes_per_second = 0;       // that arrived there; 0: not measured
};

// Blocks: twice `within` and `rate_within` at most. UNAVAILABLE or UNAUTHENTICATED says what is in
// the way; CANCELLED after a stop. A link that carries nothing within that time has no rate.
[[nodiscard]] Result<PeerProbe> probe_peer(const std::filesystem::path& leaf_dir,
                                           const std::string& address, WorkerId worker,
                                           const PeerProbeWish& wish,
                                           const std::stop_token& stop = {});

}  // namespace overwinter::worker
