// From which side on Strassen's method pays on this machine.
#pragma once

#include <cstdint>

#include "worker/kernels/gemm.h"
#include "worker/kernels/thread_team.h"

namespace overwinter::worker {

// Square products of growing sides (up to 2,048 in fp32, 1,536 in fp64), plain and halved once, in
// turns, the least times counting, until halving took at most 0.98 of the time at two sides in a
// row: the first of them, or the largest side alone where time ends there (plan::StrassenRule). 0:
// there is none. Takes about `seconds`, at most one product more. Allocates up to 90 MiB of the
// system for a while. type: fp32 or fp64. `base` works on `team`.
[[nodiscard]] std::uint64_t measure_strassen_side(GemmBackend& base, ThreadTeam& team,
                                                  GemmType type, double seconds);

}  // namespace overwinter::worker
