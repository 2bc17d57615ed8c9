#include "common/security/connect_failure.h"

namespace overwinter {

std::string explain_connect_failure(std::string_view grpc_message) {
  const auto says = [&](std::string_view text) {
    return grpc_message.find(text) != std::string_view::npos;
  };
  // Only of attempts to connect: a handler's own message may hold any words.
  if (!grpc_message.starts_with("failed to connect to all addresses") &&
      !grpc_message.starts_with("DNS resolution failed"))
    return {};
  constexpr std::string_view kOurs =
      "Custom verification check failed with error: UNAUTHENTICATED: ";
  if (const std::size_t at = grpc_message.find(kOurs); at != std::string_view::npos)
    return std::string(grpc_message.substr(at + kOurs.size()));
  if (says("certificate verify failed"))
    return "the server's certificate is not of this cluster, or it has ended, or this machine's "
           "clock is wrong";
  if (says("unsupported protocol") || says("wrong version number") || says("protocol version"))
    return "the server does not speak TLS 1.3: this may be another program's port";
  if (says("Connection refused")) return "nothing listens there";
  if (says("DNS resolution failed")) return "there is no such host";
  if (says("No route to host") || says("Network is unreachable"))
    return "there is no route to that machine";
  return {};
}

}  // namespace overwinter
