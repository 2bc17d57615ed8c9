// How many jobs a query has.
#include <utility>

#include "coordinator/store/job_rows.h"
#include "coordinator/store/row.h"
#include "coordinator/store/sqlite_history.h"

namespace overwinter::store {

Result<std::uint64_t> SqliteHistory::count_jobs(const JobQuery& query) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT count(*) FROM jobs " + jobs_where(query));
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  const auto found = select->step();
  if (!found) return fail(found.error());
  return *found ? select->number(0) : 0;
}

Result<JobCount> SqliteHistory::count_jobs_to(const JobQuery& query, std::size_t most,
                                              const JobTest& test) {
  MutexLock lock(mutex_);
  const bool by_time = query.created_from || query.created_before;
  if (test) return count_read(query, most, test);
  if (by_time && query.state) return count_looked_up(query, most);
  // Of the index alone.
  auto select = database_.prepare("SELECT count(*) FROM (SELECT 1 FROM jobs " + jobs_where(query) +
                                  " LIMIT ?3)");
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  select->bind(3, std::uint64_t{most} + 1);
  const auto found = select->step();
  if (!found) return fail(found.error());
  return JobCount::up_to(most, *found ? select->number(0) : 0);
}

// No index has both the time and the state: each row of that time is looked up.
Result<JobCount> SqliteHistory::count_looked_up(JobQuery query, std::size_t most) {
  const core::JobState state = *query.state;
  query.state.reset();
  auto select = database_.prepare(
      "SELECT count(*), coalesce(sum(state = ?2), 0) FROM (SELECT state FROM jobs " +
      jobs_where(query) + " ORDER BY created_ms DESC LIMIT ?3)");
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  select->bind(2, std::int64_t{static_cast<int>(state)});
  select->bind(3, std::uint64_t{kCountLookedUpMax});
  const auto found = select->step();
  if (!found) return fail(found.error());
  JobCount count = JobCount::up_to(most, select->number(1));
  count.at_least = count.at_least || select->number(0) == kCountLookedUpMax;
  return count;
}

// By the index of times if the query has some, else of states: what it leaves in, `test` decides.
Result<JobCount> SqliteHistory::count_read(JobQuery query, std::size_t most, const JobTest& test) {
  if (query.created_from || query.created_before) query.state.reset();
  auto select = database_.prepare(kJobColumns + jobs_where(query) +
                                  (query.state ? "" : " ORDER BY created_ms DESC") + " LIMIT ?3");
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  select->bind(3, std::uint64_t{kCountReadMax});
  std::uint64_t found = 0;
  for (std::size_t rows = 0; found <= most; ++rows) {
    const auto row = select->step();
    if (!row) return fail(row.error());
    if (!*row) return JobCount{found, rows == kCountReadMax};
    if (Status status = check_row(*select, kJobRecord + 1, "jobs"); !status.ok()) {
      return fail(std::move(status));
    }
    const auto past = past_job(*select);
    if (!past) return fail(past.error());
    if (test(past->job)) ++found;
  }
  return JobCount::up_to(most, found);
}

}  // namespace overwinter::store
