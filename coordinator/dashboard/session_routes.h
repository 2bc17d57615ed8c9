// Who is asking, and how a browser gets in and out (TRUST §3).
#pragma once

#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

// {"name", "role", "project" (empty: all), "now", "cluster", "version", "may": {…}}.
[[nodiscard]] Response session_json(const Sources& sources, const Principal& caller, Time now);
// POST {"token": "ow_…"} or {"code": …} (a login line, or the code of one): the session's secret,
// its end, and the cookie. The code is used up.
[[nodiscard]] Response open_session(const Sources& sources, const Request& request, Time now);
[[nodiscard]] Response close_session(const Sources& sources, const Request& request);

// Of a bearer token when one is sent, else of a session.
[[nodiscard]] Result<Principal> caller_of(const Sources& sources, const Request& request, Time now);

}  // namespace overwinter::dashboard
