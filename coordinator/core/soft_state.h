// SoftState: what is known but not durable. Wiped at a restart, rebuilt from what workers say when
// they return.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/fact.h"
#include "coordinator/core/pace.h"

namespace overwinter::core {

struct SeatSoft {
  bool known = false;    // the worker has spoken of it since the coordinator started
  bool offered = false;  // its offer left on its worker's present stream: units may follow it
  bool began = false;
  UnitRanges out;    // handed to it, not landed
  Duration used{0};  // as the worker last said
  Time said_at;      // when it said so
  Duration said{0};  // the most of its own words; `used` may be guessed from evidence
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t memory_used_bytes = 0;  // as the worker last said
  std::uint64_t landed = 0;             // units, since `began_at`
  Time began_at;
  Duration slice{0};  // of its last funding: tells when to renew
  std::optional<Time> stop_deadline;
  GangPhase phase = GangPhase::kNone;
  std::uint64_t step = 0;
  std::uint64_t activity = 0;
  std::optional<Time> progressed_at;  // in this attempt, while the job runs
};

struct JobSoft {
  UnitRanges pool;                          // not done and with nobody, as far as is known
  UnitRanges doubled;                       // held by two seats: a straggler's and a helper's
  std::map<std::uint32_t, SeatSoft> seats;  // by number, as Job::seats
  std::uint32_t unresolved = 0;  // seats not heard of since the start: the pool stays closed
  std::set<WorkerId> avoid;      // where its work failed
  bool unfunded = false;  // queued: devices were free, and what is left of its cap paid for none
  std::map<UnitNumber, std::set<WorkerId>> rejected;
  bool launched = false;       // of a gang: its launch was ordered, or a seat told of it
  std::string launch_failure;  // why the last launch did not come about
  Time active_at;          // of a gang: when any seat last told of a step, a checkpoint or output
  std::uint64_t step = 0;  // the highest that a seat of this attempt told of
  std::uint64_t first_step = 0;  // where this attempt began
  Pace pace;                     // of this attempt, while it runs
};

struct WorkerSoft {
  bool connected = false;
  bool returned = false;  // since the coordinator started
  bool leaving = false;   // it said that it shuts down
  Time last_sign;         // of life
  std::uint64_t hello_last_report = 0;
  std::set<SeatKey>
      offer_after_reports;  // not in its Hello; offered again once its old reports are processed
  std::optional<Time> next_cut;  // next change of its price or end of a month
};

struct SoftState {
  std::map<JobId, JobSoft> jobs;  // with seats, or once had
  std::map<WorkerId, WorkerSoft> workers;
  Time grace_until;  // nobody is lost before
};

}  // namespace overwinter::core
