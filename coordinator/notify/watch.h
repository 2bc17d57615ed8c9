// Watch: what became of jobs and machines → what to tell. Pure: time is an argument, nothing is
// sent. Not synchronised: one thread feeds it.
//
// Every notice is made once for its (owner, key), from what the views say, not from how often they
// say it: after a restart the same state gives the same keys, and Told knows which were told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/base/money.h"
#include "common/base/time.h"
#include "common/domain/ids.h"
#include "coordinator/ledger/charge.h"
#include "coordinator/notify/notice.h"

namespace overwinter::notify {

inline constexpr Duration kWaitingMax = std::chrono::hours(1);

struct JobSeen {
  enum class Phase : std::uint8_t { kQueued, kActive, kPaused, kFailed, kEnded };
  JobId id;
  std::string project;
  std::string name;
  Phase phase = Phase::kQueued;
  std::string state;  // as people know it: QUEUED
  bool by_person = false;
  std::string reason;
  Time since{};  // in this state
  Money charged;
  Money held;  // charged and reserved
  std::optional<Money> cap;
};

struct WorkerSeen {
  enum class Phase : std::uint8_t { kHere, kLost, kGone };
  WorkerId id;
  std::string name;
  std::vector<std::string> projects;
  Phase phase = Phase::kHere;
  std::string state;
  std::string reason;
  Time since{};  // of a lost one
  Money price_per_hour;
  std::uint32_t seats = 0;  // held now
};

struct IdleRule {
  Duration after = std::chrono::minutes(30);
  std::set<std::string> workers;  // empty: all
};

class Watch {
 public:
  void set_idle(IdleRule rule) { idle_ = std::move(rule); }

  // Each returns what is new.
  [[nodiscard]] std::vector<Notice> see_job(const JobSeen& job, Time now);
  // All machines that there are, at `now`; those that are not among them any more are forgotten.
  // What a machine has cost since its last seat is summed from one call to the next, at the price
  // of each.
  [[nodiscard]] std::vector<Notice> see_workers(std::span<const WorkerSeen> workers, Time now);
  // Jobs that have been queued for kWaitingMax by `now`.
  [[nodiscard]] std::vector<Notice> see_time(Time now);

  // Jobs that something is kept of; who asks says which of them are gone.
  [[nodiscard]] std::vector<JobId> jobs() const;
  void forget_job(JobId id);
  // Owners that are over since the last call: nothing of them will be told again.
  [[nodiscard]] std::vector<std::string> take_over();

 private:
  struct JobKept {
    std::set<std::string> made;  // keys
    std::optional<JobSeen> queued;
  };
  struct WorkerKept {
    bool known = false;
    Time lost_told{};  // the loss that was told of
    bool idle = false;
    Time idle_since{};
    bool idle_told = false;
    ledger::Charge cost{};  // since then
    Time counted{};         // up to here
  };

  void make(JobKept& kept, const JobSeen& job, Event event, std::string key, Time at,
            std::string sentence, std::vector<Notice>& out);
  void see_idle(const WorkerSeen& worker, Time now, WorkerKept& kept, std::vector<Notice>& out);

  IdleRule idle_;
  std::map<JobId, JobKept> jobs_;
  std::map<WorkerId, WorkerKept> workers_;
  std::vector<std::string> over_;
};

[[nodiscard]] std::string job_owner(JobId id);
[[nodiscard]] std::string worker_owner(WorkerId id);
// Of an idle time: over when the machine works again.
[[nodiscard]] std::string idle_owner(WorkerId id);

}  // namespace overwinter::notify
