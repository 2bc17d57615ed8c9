// Demand: all that the core knows of a job's needs. It never looks into the specification itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/money.h"
#include "common/base/time.h"
#include "common/domain/host_size.h"
#include "common/domain/ids.h"

namespace overwinter {

enum class Transport : std::uint8_t { kElastic = 1, kGang = 2 };
enum class Priority : std::uint8_t { kLow = 1, kNormal = 2, kHigh = 3 };
enum class SpotUse : std::uint8_t { kNever = 1, kAllowed = 2, kOnly = 3 };

// How a unit becomes done: by a verified, durable piece of a result in the artifact store, or
// (workloads without a result) by the worker's word.
enum class Landing : std::uint8_t { kArtifact = 1, kReport = 2 };

struct Demand {
  Transport transport = Transport::kElastic;
  std::uint32_t seats_min = 1;
  std::uint32_t seats_max = 1;
  std::string device_kind = "any";        // any, or a DeviceInfo::kind
  std::uint64_t memory_bytes = 0;         // of each seat
  std::uint32_t threads = 0;              // of each seat; 0: all threads of its device
  std::uint64_t units = 0;                // 0 is a job that is done when it is accepted
  std::uint64_t units_per_range_max = 1;  // the most that one hand-out holds
  Landing landing = Landing::kArtifact;
  Duration stop_time{
      1000};  // the most a seat needs to stop at a good place; reserved with its funding

  std::optional<Money> cap;
  std::optional<Duration> time_limit;  // of running; then PAUSED
  // Of a gang alone. seats_min and seats_max count seats; each worker of it holds seats_per_worker,
  // one a device.
  std::uint32_t seats_per_worker = 1;
  std::uint32_t retries = 3;           // own failures; a lost worker is none
  bool runs_user_code = false;         // needs a worker that offers exec
  HostSize host = {};                  // that each worker's machine has at least
  Duration stall_timeout{30 * 60000};  // without a step, a checkpoint or output
  Duration start_timeout{30000};       // from the launch until all its ranks are up

  Priority priority = Priority::kNormal;
  SpotUse spot = SpotUse::kAllowed;

  // The prediction that was shown (plan): for the page, for explain, never for a decision about
  // money.
  Duration predicted_duration{0};
  Money predicted_cost;
  std::uint64_t predicted_memory_bytes = 0;  // peak per device

  friend bool operator==(const Demand&, const Demand&) = default;
};

// Seats without which it does not start: all of a gang's least, one of an elastic job.
[[nodiscard]] constexpr std::uint32_t seats_at_once(const Demand& demand) {
  return demand.transport == Transport::kGang && demand.seats_min > 1 ? demand.seats_min : 1;
}

}  // namespace overwinter
