// SqliteHistory: the lines of the audit.
#include <algorithm>
#include <utility>

#include "coordinator/store/row.h"
#include "coordinator/store/sqlite_history.h"

namespace overwinter::store {
namespace {

constexpr int kColumns = 14;  // the checksum comes behind them

// Of "projects/p" alone: "p".
std::string_view whole_project(std::string_view object) {
  constexpr std::string_view kProjects = "projects/";
  if (!object.starts_with(kProjects)) return {};
  object.remove_prefix(kProjects.size());
  return object.find('/') == std::string_view::npos ? object : std::string_view();
}

std::string sql_of(const AuditQuery& query, bool by_project) {
  std::string sql = "SELECT * FROM audit WHERE 1=1";
  const char* number = query.project.empty() ? "number" : "project_number";
  if (by_project) sql += " AND project = ?1";
  if (!query.actor.empty()) sql += " AND actor = ?2";
  if (!query.actor_name.empty()) sql += " AND actor_name = ?3";
  if (!query.object.empty()) {
    // '0' is the character behind '/'. All of a project is read by its own index, in order; the
    // plus keeps the other one out.
    const std::string column = by_project ? "+object" : "object";
    sql += " AND (" + column + " = ?4 OR (" + column + " >= ?4 || '/' AND " + column +
           " < ?4 || '0'))";
  }
  if (query.below) sql += std::string(" AND ") + number + " < ?5";
  return sql + " ORDER BY " + number + " DESC LIMIT ?6";
}

AuditLine line_of(const Statement& row) {
  AuditLine line;
  line.number = row.number(0);
  line.turn = row.number(1);
  line.place = static_cast<std::uint32_t>(row.number(2));
  line.time = time_from_unix_ms(row.integer(3));
  line.project = row.text(4);
  line.project_number = row.number(5);
  line.actor = row.text(6);
  line.actor_name = row.text(7);
  line.role = row.text(8);
  line.action = row.text(9);
  line.object = row.text(10);
  line.before = row.text(11);
  line.after = row.text(12);
  line.reason = row.text(13);
  return line;
}

}  // namespace

Result<std::vector<AuditLine>> SqliteHistory::audit(const AuditQuery& query) {
  std::vector<AuditLine> lines;
  const std::string project(query.project.empty() ? whole_project(query.object) : query.project);
  MutexLock lock(mutex_);
  auto select = database_.prepare(sql_of(query, !project.empty()));
  if (!select) return fail(std::move(select.error()));
  if (!project.empty()) select->bind_text(1, project);
  if (!query.actor.empty()) select->bind_text(2, query.actor);
  if (!query.actor_name.empty()) select->bind_text(3, query.actor_name);
  if (!query.object.empty()) select->bind_text(4, query.object);
  if (query.below) {
    select->bind(5, std::min(*query.below, static_cast<std::uint64_t>(INT64_MAX)));
  }
  select->bind(6, static_cast<std::int64_t>(std::min(query.max, kPageMax + 1)));
  for (;;) {
    const auto found = select->step();
    if (!found) return fail(found.error());
    if (!*found) return lines;
    if (Status status = check_row(*select, kColumns, "audit"); !status.ok()) {
      return fail(std::move(status));
    }
    AuditLine line = line_of(*select);
    // Cluster time never goes back: what follows is older.
    if (query.since && line.time < *query.since) return lines;
    lines.push_back(std::move(line));
  }
}

}  // namespace overwinter::store
