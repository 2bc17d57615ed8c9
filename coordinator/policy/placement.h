// Placement: may a seat of a job lie on a device, which device is best, and why not (ARCHITECTURE
// §3). Pure functions of what they are given; the same answer places seats and explains why a job
// waits.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/money.h"
#include "common/domain/demand.h"
#include "common/domain/device.h"

namespace overwinter::policy {

// What is asked: one seat of a job.
struct Want {
  const Demand* demand = nullptr;
  std::string_view project;
};

// One device of a worker, as it is now. Refers to what the caller owns.
struct Candidate {
  WorkerId worker;
  DeviceIndex index = 0;
  std::string_view worker_name;
  std::string_view not_ready;  // empty: it takes seats; else why not ("is draining", "is lost", …)
  const std::vector<std::string>* projects = nullptr;  // empty list: all
  bool spot = false;
  const DeviceInfo* device = nullptr;
  std::uint64_t memory_used = 0;
  std::uint32_t threads_used = 0;
  std::uint32_t share_used_ppm = 0;
  Money price_per_hour;
  bool avoided = false;  // the job's own work failed there
  bool held = false;     // kept free for a job that has waited long
  // What a gang asks beside.
  std::string_view host_id;
  std::string_view network;  // empty: none but its own host
  std::string_view address;  // of its peer port; empty: it has none
  std::string_view no_exec;  // why it runs no program of users; empty: it does
  HostSize host = {};
  bool other_project = false;   // a gang of another project is on this worker
  bool network_taken = false;   // … or on its network, and one of them does not share it
  bool shared_network = false;  // it shares its network with gangs of other projects
};
// What its machine says of a candidate's device and of itself. `machine` is owned by the caller.
void describe(const MachineInfo& machine, DeviceIndex device, Candidate& candidate);

enum class Why : std::uint8_t {
  kFits = 0,
  kNotReady,
  kProject,
  kSpot,
  kKind,
  kMemoryTotal,  // larger than the device
  kThreadsTotal,
  kMemoryFree,  // would fit when seats end
  kThreadsFree,
  kShareFree,
  kAvoided,
  kHeld,
  kNoExec,
  kHostMemory,  // of the worker's machine
  kHostCpus,
  kOtherProject,
  kNetworkTaken,
};

struct Verdict {
  Why why = Why::kFits;
  std::uint64_t has = 0;  // of memory bytes, threads or millionths, by `why`
  std::uint64_t needs = 0;
  [[nodiscard]] bool fits() const { return why == Why::kFits; }
};

// What a seat takes of a device: all threads where the demand names none, all memory where that of
// a program names none.
struct SeatSize {
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  std::uint32_t share_ppm = 0;
};
[[nodiscard]] SeatSize seat_size(const Demand& demand, const DeviceInfo& device);

// Could it ever: everything but what is in use, and whether the worker is ready.
[[nodiscard]] Verdict could_hold(const Want& want, const Candidate& candidate);
// Can it now.
[[nodiscard]] Verdict can_hold(const Want& want, const Candidate& candidate);

// Soft score: processors before GPUs (who asks for any device needs no GPU), then cheaper, then
// faster, then by id. Lower is better.
struct Score {
  std::uint8_t gpu = 0;
  std::int64_t price_micros = 0;
  std::int64_t slowness = 0;  // minus the measured speed in MFLOP/s
  WorkerId worker;
  DeviceIndex device = 0;
  friend auto operator<=>(const Score&, const Score&) = default;
};
[[nodiscard]] Score score(const Candidate& candidate);

// Order in which waiting jobs get seats: those that hold none first, then by priority, then by
// submission.
struct Rank {
  std::uint8_t growing = 0;
  int priority = 0;  // minus the priority
  JobId job;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};
[[nodiscard]] Rank rank(const Demand& demand, JobId job, bool growing);

struct Explanation {
  struct Line {
    std::string worker;
    DeviceIndex device = 0;
    Verdict verdict;
    std::string why;  // one sentence with the number
  };
  bool could_start = false;  // some device could hold it now
  std::string summary;       // one sentence
  std::vector<Line> lines;   // each device, by worker
  std::string would_help;    // the smallest change that lets it start; empty when none is known
};
[[nodiscard]] Explanation explain(const Want& want, const std::vector<Candidate>& candidates);

}  // namespace overwinter::policy
