// The audit as callers see it: decisions that are facts (store), decisions that are none and
// refusals (telemetry), in one order. The same for gRPC and for HTTP.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/store/store.h"
#include "coordinator/telemetry/audit_log.h"
#include "overwinter/v1/audit.pb.h"

namespace overwinter::runtime {

inline constexpr int kAuditPage = 100;  // when no size is asked for

// A page, newest first. Who is bound to a project gets that project's lines, numbered within it,
// and no refusals: PERMISSION_DENIED when it asks for those alone. A page may be short and still
// have a next one: it ends at kPageBytesMax. INVALID_ARGUMENT (page_size, page_token, since). Reads
// the disk: on the pool.
Status list_audit(store::Store& store, telemetry::AuditLog& log, const Principal& caller,
                  const v1::ListAuditEntriesRequest& request,
                  v1::ListAuditEntriesResponse& response);

// An event of the audit log with who did it filled in; nullptr: nobody showed a credential.
[[nodiscard]] telemetry::AuditEvent audit_event(const Principal* by, Time now);
// Whether a call that ended so was refused, which gives a line. Bad input and names that are not
// there are no refusals.
[[nodiscard]] bool is_refusal(Code code);

}  // namespace overwinter::runtime
