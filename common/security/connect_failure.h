// Turns what gRPC says about a connection that failed into a sentence for a person.
#pragma once

#include <string>
#include <string_view>

namespace overwinter {

// `grpc_message`: of an UNAVAILABLE status. Empty when it tells nothing that a person could use
// (the connection was lost on its way, the server is stopping): say "cannot reach ADDRESS" then.
[[nodiscard]] std::string explain_connect_failure(std::string_view grpc_message);

}  // namespace overwinter
