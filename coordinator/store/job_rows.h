// What queries of the table of jobs share. This room's files alone.
#pragma once

#include <string>
#include <utility>

#include "coordinator/store/history.h"
#include "coordinator/store/sqlite.h"
#include "coordinator/wire/record_codec.h"

namespace overwinter::store {

inline constexpr const char* kJobColumns =
    "SELECT job, project, name, state, created_ms, ended_ms, charged, forgotten, record, checksum "
    "FROM jobs ";
inline constexpr int kJobRecord = 8;  // of a row of jobs; its checksum is the next column

// All that a query says but for its place in a list: parameters 1, 2, 6 and 7.
inline std::string jobs_where(const JobQuery& query) {
  std::string sql = "WHERE 1=1";
  if (!query.project.empty()) sql += " AND project = ?1";
  if (query.state) sql += " AND state = ?2";
  if (query.created_from) sql += " AND created_ms >= ?6";
  if (query.created_before) sql += " AND created_ms < ?7";
  if (query.forgotten_only) sql += " AND forgotten = 1";
  return sql;
}

inline void bind_where(const JobQuery& query, Statement& select) {
  if (!query.project.empty()) select.bind_text(1, query.project);
  if (query.state) select.bind(2, std::int64_t{static_cast<int>(*query.state)});
  if (query.created_from) select.bind(6, unix_ms(*query.created_from));
  if (query.created_before) select.bind(7, unix_ms(*query.created_before));
}

inline Result<PastJob> past_job(const Statement& row) {
  auto job = wire::decode_job(row.blob(kJobRecord));
  if (!job) return fail(std::move(job.error()));
  return PastJob{std::move(*job), row.integer(kJobRecord - 1) != 0};
}

}  // namespace overwinter::store
