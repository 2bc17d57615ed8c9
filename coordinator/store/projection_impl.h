// What the parts of Projection share. This room's files alone.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "coordinator/store/projection.h"
#include "coordinator/store/row.h"

namespace overwinter::store {

// What a turn changed and flush() has to write.
struct Touched {
  std::set<JobId> jobs;
  std::set<WorkerId> workers;
  std::set<TokenId> tokens;
  std::set<JoinFileId> join_files;
  std::set<std::string> projects;
  void clear() { *this = {}; }
};

struct ProjectionStatements {
  Statement job, job_bytes, worker, token, join_file, project, meta;
  Statement usage, machine_slice;
  // Sums by month and by day: each is read, added to and written.
  Statement job_month, read_job_month, machine_month, read_machine_month;
  Statement job_day, read_job_day, machine_day, read_machine_day;
  Statement waste_month, read_waste_month;
  Statement step, audit, audit_last, audit_last_of;
  [[nodiscard]] static Result<ProjectionStatements> prepare(Database& database);
};

struct Projection::Impl {
  Database database;
  ProjectionStatements statements;
  core::ClusterState state;
  LogHead head;
  std::optional<Transaction> transaction;
  Touched touched;
  std::size_t turns_pending = 0;
  // The last number of a project's audit lines; "": of all. Read when it is first needed.
  std::map<std::string, std::uint64_t> audit_numbers;
  bool keep_job_bytes = true;
  bool broken = false;

  Status load();
  Status write_touched();
  Status write_job(const core::Job& job, bool forgotten);
};

// Writes the history rows of one fact, evolves the state by it and notes what it touched.
Status project_fact(Projection::Impl& projection, const TurnRow& turn, std::uint32_t place,
                    const core::Fact& fact);

}  // namespace overwinter::store
