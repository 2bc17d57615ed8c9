// History over the projection's file, on a read-only connection of its own.
#pragma once

#include <memory>
#include <string>

#include "coordinator/store/history.h"
#include "coordinator/store/sqlite.h"

namespace overwinter::store {

class SqliteHistory final : public History {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteHistory>> open(const std::string& path,
                                                                   const std::string& vfs);
  Result<std::optional<PastJob>> job(std::string_view project, std::string_view name) override;
  Result<std::vector<PastJob>> jobs(const JobQuery& query) override;
  Result<std::optional<PastJob>> record(JobId job) override;
  Result<std::vector<UsageSlice>> usage_since(Time since, std::size_t max) override;
  Result<std::vector<MachineSlice>> machine_slices_since(Time since, std::size_t max) override;
  Result<std::optional<core::JobState>> state_of(JobId job) override;
  Result<std::uint64_t> count_jobs(const JobQuery& query) override;
  Result<JobCount> count_jobs_to(const JobQuery& query, std::size_t most,
                                 const JobTest& test) override;
  Result<std::vector<UsageSlice>> usage(JobId job, std::size_t max) override;
  Result<std::vector<JobStep>> steps(JobId job, std::size_t max) override;
  Result<std::vector<JobCostRow>> job_costs(const CostQuery& query) override;
  Result<std::vector<MachineCostRow>> machine_costs(const std::string& month) override;
  Result<ledger::Charge> jobs_of_day(const std::string& day, const std::string& project) override;
  Result<ledger::Charge> machines_of_day(const std::string& day) override;
  Result<ledger::Charge> waste_of_month(const std::string& month,
                                        const std::string& project) override;
  Result<std::vector<AuditLine>> audit(const AuditQuery& query) override;

 private:
  explicit SqliteHistory(Database database) : database_(std::move(database)) {}
  Status add_bytes(PastJob& past) OW_REQUIRES(mutex_);
  Result<JobCount> count_looked_up(JobQuery query, std::size_t most) OW_REQUIRES(mutex_);
  Result<JobCount> count_read(JobQuery query, std::size_t most, const JobTest& test)
      OW_REQUIRES(mutex_);

  Mutex mutex_;
  Database database_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::store
