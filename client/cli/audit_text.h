// How entries of the audit are written: rows of a table, lines of an export. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/cli/output.h"
#include "overwinter/v1/audit.pb.h"

namespace overwinter::cli {

// Rows for 80 columns: time, actor, action, and in one sentence to what and how it ended.
[[nodiscard]] Table audit_table(const v1::ListAuditEntriesResponse& list);
// Every field in a column of its own.
[[nodiscard]] Table audit_table_wide(const v1::ListAuditEntriesResponse& list);
// proto3 JSON on one line with every field, the line's end included.
[[nodiscard]] std::string audit_line(const v1::AuditEntry& entry);

}  // namespace overwinter::cli
