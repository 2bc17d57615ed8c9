// Costs: what jobs and machines cost, from the store's history (closed slices) and from the views
// (slices that are still open). Lists are rounded cumulatively: every list sums to its total.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/core/fact.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/billing.pb.h"

namespace overwinter::runtime {

// What jobs cost, by job id.
struct JobBill {
  struct Line {
    JobId job;
    std::string project;
    std::string name;  // last part of the resource name
    core::JobState state = core::JobState::kQueued;
    Money charged;
    Money reserved;
    std::optional<Money> cap;
  };
  std::vector<Line> lines;
  Money total;  // the lines' sum
  std::string currency;
};

// Of a machine's slice that is open now; nothing when it was removed.
[[nodiscard]] ledger::Charge open_machine(const WorkerView& worker, Time now);

// Thread-safe. Everything may wait for the disk: on the pool.
class Costs {
 public:
  Costs(const Views& views, store::Store& store) : views_(views), store_(store) {}

  // Jobs of a project (empty: all), or one of its jobs by name; of a month "2026-11" (empty: of all
  // time). INVALID_ARGUMENT for a month that is none.
  [[nodiscard]] Result<JobBill> job_bill(const std::string& project, const std::string& name,
                                         const std::string& month, Time now) const;
  // A page of it, for `caller`: of the job that the request names, else of its parent. NOT_FOUND
  // and INVALID_ARGUMENT with the field.
  Status list_jobs(const Principal& caller, const v1::ListJobCostsRequest& request, Time now,
                   v1::ListJobCostsResponse& out) const;
  Status list_machines(const std::string& month, Time now, v1::ListMachineCostsResponse& out) const;
  // cost_today and cost_month (UTC), of machines or of a project's jobs (empty: of all), and
  // waste_fraction_month of those jobs.
  Status fill_status(bool machines, const std::string& project, Time now,
                     v1::ClusterStatus& out) const;

 private:
  struct Machine {
    std::string name;
    ledger::Charge total;
    ledger::Charge jobs;
    ledger::Charge lost;
  };
  [[nodiscard]] Result<std::map<WorkerId, Machine>> machines(const std::string& month,
                                                             Time now) const;
  [[nodiscard]] Result<std::map<JobId, store::JobCostRow>> jobs(const store::CostQuery& query,
                                                                Time now) const;

  const Views& views_;
  store::Store& store_;
};

}  // namespace overwinter::runtime
