// Costs: what jobs and machines cost, from the store's history (closed slices) and from the views
// (slices that are still open). Lists are rounded cumulatively: every list sums to its total.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/core/fact.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/billing.pb.h"

namespace overwinter::runtime {

// Thread-safe. Everything but note() may wait for the disk: on the pool.
class Costs {
 public:
  Costs(const Views& views, store::Store& store) : views_(views), store_(store) {}

  // Reads today's closed slices of jobs; once, before the first note().
  Status load_today(Time now);
  // Whether note() wants a fact.
  [[nodiscard]] static bool concerns(const core::Fact& fact);
  // A committed fact, in order, each once. Never blocks.
  void note(const core::Fact& fact);

  // Jobs of a project (empty: all), or one of its jobs by name; of a month "2026-11" (empty: of all
  // time). INVALID_ARGUMENT for a month that is none.
  Status list_jobs(const std::string& project, const std::string& name, const std::string& month,
                   Time now, v1::ListJobCostsResponse& out) const;
  Status list_machines(const std::string& month, Time now, v1::ListMachineCostsResponse& out) const;
  // cost_today and cost_month, of machines or of a project's jobs (empty: of all). Today's closed
  // machine slices are those since this process started.
  Status fill_status(bool machines, const std::string& project, Time now,
                     v1::ClusterStatus& out) const;

 private:
  struct Slice {
    Time from;
    Time to;
    ledger::Charge charge;
    std::string project;  // empty: of a machine
  };
  struct Machine {
    std::string name;
    ledger::Charge total;
    ledger::Charge jobs;
    ledger::Charge lost;
  };
  void remember(Slice slice) OW_REQUIRES(mutex_);
  [[nodiscard]] Result<std::map<WorkerId, Machine>> machines(const std::string& month,
                                                             Time now) const;
  [[nodiscard]] Result<std::map<JobId, store::JobCostRow>> jobs(const store::CostQuery& query,
                                                                Time now) const;

  const Views& views_;
  store::Store& store_;
  mutable Mutex mutex_;
  std::deque<Slice> recent_ OW_GUARDED_BY(mutex_);  // those that touch today, and some older
};

}  // namespace overwinter::runtime
