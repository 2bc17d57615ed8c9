// Which tiles: the fastest cut of a product that a device's budget holds, by a simple model of
// time.
#pragma once

#include <cstdint>
#include <optional>

#include "common/plan/matmul_geometry.h"
#include "common/plan/strassen_plan.h"

namespace overwinter::plan {

// The seats that will share the work, added up.
struct SeatModel {
  std::uint32_t seats = 1;
  std::uint32_t threads = 1;       // of the device with the most: its workspace is the largest
  double flops_per_second = 1e10;  // of all seats, on large tiles
  double bytes_per_second = 1e8;   // of all their links to the coordinator
};

struct TimeModel {
  double compute_seconds = 0;
  double transfer_seconds = 0;
  double overhead_seconds = 0;                 // starting, a unit's round trip, the uneven end
  [[nodiscard]] double total_seconds() const;  // the larger of the first two, and the third
};

// rule: of a geometry that is halved.
[[nodiscard]] TimeModel predict_time(const MatmulGeometry& geometry, const SeatModel& seats,
                                     const StrassenRule& rule = {});

// Whether products of tiles may be halved, and what of it a job takes.
struct StrassenUse {
  StrassenRule rule;     // of all devices; side 0: not at all
  double error_max = 1;  // error_bound() of a geometry that is halved is at most this
  bool wanted = false;   // halved tiles that fit come before others, faster or not
};

// The geometry with the least predicted time (weighed a little for traffic and for long units)
// among tiles that fit `memory_bytes` (matmul_memory) and tile_bytes_max; nothing when none fits.
// Sides of 0 give tiles of side 1 and no units. Deterministic.
[[nodiscard]] std::optional<MatmulGeometry> choose_tiles(std::uint64_t m, std::uint64_t k,
                                                         std::uint64_t n, Precision precision,
                                                         std::uint64_t memory_bytes,
                                                         const SeatModel& seats,
                                                         const StrassenUse& strassen = {});

// The least memory that any cut of this product needs.
[[nodiscard]] std::uint64_t least_memory_bytes(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                                               Precision precision, std::uint32_t threads);

}  // namespace overwinter::plan
