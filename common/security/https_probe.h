// Questions to a port over TLS, for health checks of a process's own ports.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter {

// Sends `GET path` by HTTP/1.1 and returns the first line of the answer ("HTTP/1.1 200 OK"). The
// certificate is not checked and nothing secret is told, so who else answers gains nothing. Blocks,
// each step (connection, handshake, answer) for at most `within`. UNAVAILABLE: none came.
[[nodiscard]] Result<std::string> https_probe(const std::string& host, const std::string& port,
                                              const std::string& path, Duration within);

// OK: somebody takes connections there and does something with them, be it a TLS handshake, a
// refusal of it, or closing it at once. UNAVAILABLE: nobody, or nothing happens within `within`.
[[nodiscard]] Status takes_connections(const std::string& host, const std::string& port,
                                       Duration within);

}  // namespace overwinter
