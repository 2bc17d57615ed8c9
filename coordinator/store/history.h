// History: what the projection remembers, jobs that left the core too. At most about a second
// behind the log.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/core/cluster_state.h"

namespace overwinter::store {

inline constexpr std::size_t kPageMax = 1000;

struct PastJob {
  core::Job job;
  bool forgotten = false;  // no longer in the core
};

// What jobs are ordered by, then by their id. A job that has not ended is before all that have;
// cost is what was charged, in whole micro-units.
enum class JobOrder { kCreated, kEnded, kState, kCost, kName };
// A job's place in an order: where a page of jobs ended.
struct JobPosition {
  std::int64_t number = 0;  // milliseconds, the state's number or micro-units
  std::string text;         // the name, of kName
  JobId job;
  friend auto operator<=>(const JobPosition&, const JobPosition&) = default;
};
struct JobQuery {
  std::string project;  // empty: all
  std::optional<core::JobState> state;
  std::optional<Time> created_from;    // then or later
  std::optional<Time> created_before;  // and earlier than this
  JobOrder order = JobOrder::kCreated;
  bool descending = true;
  bool forgotten_only = false;  // what is not in the core any more
  std::optional<JobPosition> after;
  std::size_t max = 50;  // at most kPageMax are given
};

// How many jobs there are; `at_least`: or more.
struct JobCount {
  std::uint64_t jobs = 0;
  bool at_least = false;
  [[nodiscard]] static JobCount up_to(std::uint64_t most, std::uint64_t found) {
    return found > most ? JobCount{most, true} : JobCount{found, false};
  }
};
// Of a job without its specification and plan.
using JobTest = std::function<bool(const core::Job& job)>;
// Where a count ends that no index answers: rows whose state is looked up, rows that are read.
inline constexpr std::size_t kCountLookedUpMax = 20'000;
inline constexpr std::size_t kCountReadMax = 5'000;

// A closed slice of a seat's use.
struct UsageSlice {
  SeatKey seat;
  WorkerId worker;
  Time from{};
  Time to{};
  Duration used{0};
  Money device_price_per_hour;
  ledger::Charge charge;
};

// A closed slice of a machine's cost; idle = total - jobs - lost.
struct MachineSlice {
  WorkerId worker;
  Time from{};
  Time to{};
  ledger::Charge total;
  ledger::Charge jobs;
  ledger::Charge lost;
};

struct JobCostRow {
  JobId job;
  std::string project;
  std::string name;
  core::JobState state = core::JobState::kQueued;
  ledger::Charge charged;   // closed slices, of the month asked for
  ledger::Charge reserved;  // now
  std::optional<Money> cap;
};
struct CostQuery {
  std::string project;  // empty: all
  std::string name;     // last part of one job's name; empty: all
  std::string month;    // "2026-11" in UTC; empty: all time. A slice is of the month it begins in
  std::optional<JobId> after;
  std::size_t max = kPageMax;
};

// Closed slices; idle = total - jobs - lost.
struct MachineCostRow {
  WorkerId worker;
  std::string name;
  ledger::Charge total;
  ledger::Charge jobs;
  ledger::Charge lost;
};

struct JobStep {
  std::uint64_t turn = 0;
  Time time{};
  core::JobState state = core::JobState::kQueued;
  core::Cause cause = core::Cause::kNone;
  AttemptNumber attempt = 0;
  std::string reason;
  std::uint64_t actor = 0;
};

// A decision about access, money or settings.
struct AuditLine {
  std::uint64_t number = 0;  // over all lines, from 1
  std::uint64_t turn = 0;
  std::uint32_t place = 0;  // of the fact in its turn
  Time time{};
  std::string project;               // whose it is; empty: the cluster's
  std::uint64_t project_number = 0;  // over the lines of its project, from 1
  std::string actor;                 // "tokens/7", "workers/w-1", "coordinator"
  std::string actor_name;            // of a token: whom it is for
  std::string role;                  // of a token
  std::string action;                // "job.submit", "token.revoke", …
  std::string object;                // "projects/p/jobs/j", "workers/w", …
  std::string before;                // empty: it was not there
  std::string after;
  std::string reason;
};
// Conditions that are empty hold for all lines.
struct AuditQuery {
  std::string project = {};
  std::string actor = {};
  std::string actor_name = {};
  std::string object = {};  // it and what lies under it: "projects/p" has its jobs
  std::optional<Time> since = {};
  // Numbers below this one: project_number where `project` is said, else number.
  std::optional<std::uint64_t> below = {};
  std::size_t max = 50;
};

// "2026-11".
[[nodiscard]] std::string month_of(Time time);
// "2026-11-24".
[[nodiscard]] std::string day_of(Time time);
// Amounts that sum to the rounded total: line n is rounded(total_n) - rounded(total_{n-1}).
[[nodiscard]] std::vector<Money> rounded_lines(std::span<const ledger::Charge> charges);

// Thread-safe; a query holds other queries up. DATA_LOSS: a row's checksum does not hold.
class History {
 public:
  virtual ~History() = default;
  // nullopt: there never was one.
  [[nodiscard]] virtual Result<std::optional<PastJob>> job(std::string_view project,
                                                           std::string_view name) = 0;
  [[nodiscard]] virtual Result<std::vector<PastJob>> jobs(const JobQuery& query) = 0;
  // Without its specification and plan; nullopt: there never was one.
  [[nodiscard]] virtual Result<std::optional<PastJob>> record(JobId job) = 0;
  // nullopt: there never was one.
  [[nodiscard]] virtual Result<std::optional<core::JobState>> state_of(JobId job) = 0;
  // How many jobs the query has, whatever its `after` and `max`.
  [[nodiscard]] virtual Result<std::uint64_t> count_jobs(const JobQuery& query) = 0;
  // The same up to `most`, of those that `test` takes (null: all). One that no index answers ends
  // after the newest kCountLookedUpMax rows, or with a test kCountReadMax.
  [[nodiscard]] virtual Result<JobCount> count_jobs_to(const JobQuery& query, std::size_t most,
                                                       const JobTest& test) = 0;
  // Oldest first, at most `max`.
  [[nodiscard]] virtual Result<std::vector<UsageSlice>> usage(JobId job, std::size_t max) = 0;
  // Slices that ended at `since` or later, of all jobs and machines; newest first, at most `max`.
  [[nodiscard]] virtual Result<std::vector<UsageSlice>> usage_since(Time since,
                                                                    std::size_t max) = 0;
  [[nodiscard]] virtual Result<std::vector<MachineSlice>> machine_slices_since(Time since,
                                                                               std::size_t max) = 0;
  [[nodiscard]] virtual Result<std::vector<JobStep>> steps(JobId job, std::size_t max) = 0;
  // By job id.
  [[nodiscard]] virtual Result<std::vector<JobCostRow>> job_costs(const CostQuery& query) = 0;
  // By worker id; month empty: all time.
  [[nodiscard]] virtual Result<std::vector<MachineCostRow>> machine_costs(
      const std::string& month) = 0;
  // Closed slices' parts of a UTC day (day_of): of a project's jobs (empty: of all), of all
  // machines.
  [[nodiscard]] virtual Result<ledger::Charge> jobs_of_day(const std::string& day,
                                                           const std::string& project) = 0;
  [[nodiscard]] virtual Result<ledger::Charge> machines_of_day(const std::string& day) = 0;
  // What seats of a project's jobs (empty: of all), once they were released, had wasted or waited
  // for their gang in a month ("2026-11"), in proportion to the time.
  [[nodiscard]] virtual Result<ledger::Charge> waste_of_month(const std::string& month,
                                                              const std::string& project) = 0;
  // Newest first, at most kPageMax + 1; fewer than asked for: there are no more.
  [[nodiscard]] virtual Result<std::vector<AuditLine>> audit(const AuditQuery& query) = 0;
};

}  // namespace overwinter::store
