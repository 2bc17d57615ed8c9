// The audit over HTTP, and what it is told of calls that were refused here.
#pragma once

#include <string_view>

#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/job_routes.h"

namespace overwinter::dashboard {

// GET /api/v1/audit?actor=&object=&since=&refusals=&pageSize=&pageToken=: as ListAuditEntries;
// since: RFC 3339; refusals: "true" for refusals alone. On the pool.
[[nodiscard]] Response list_audit(const Ask& ask);

// What was called: the pattern of its route (empty: none) and the path. Nothing, unless the answer
// is a refusal. Never waits.
void tell_refusal(const Sources& sources, const Request& request, std::string_view pattern,
                  std::string_view path, const Response& response);

// The resource that a path below /api/v1 names; empty for what names none, or is no name of ours.
[[nodiscard]] std::string object_of(std::string_view path);

}  // namespace overwinter::dashboard
