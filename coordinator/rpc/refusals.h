// What the audit and the metrics are told of refused calls. The processors tell of those that reach
// no handler (authorizer.h); gRPC lets them see no address. The watch below tells of those that a
// handler refuses, with the address.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/domain/principal.h"
#include "coordinator/telemetry/audit_log.h"

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}  // namespace grpc::experimental

namespace overwinter::rpc {

class Authorizer;

inline constexpr std::string_view kHandshake = "handshake";  // of a connection without calls

// A call as it came in.
struct CalledFrom {
  telemetry::Door door = telemetry::Door::kPeople;
  std::string_view path;       // "/overwinter.v1.JobService/GetJob"; may be anybody's text
  std::string_view peer = {};  // as gRPC writes it; empty: not known
};

// Nothing, unless the call was refused (runtime::is_refusal). `by` is nullptr when nobody is known.
// Never waits.
void tell_refusal(telemetry::AuditLog& log, const CalledFrom& call, const Principal* by, Time now,
                  const Status& status);

// Looks at how the unary calls of a server end.
[[nodiscard]] std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> refusal_watch(
    telemetry::AuditLog& log, telemetry::Door door, std::shared_ptr<const Authorizer> authorizer);

// "ipv4:192.0.2.1:55" is 192.0.2.1, "ipv6:%5B::1%5D:55" is ::1; empty for what is neither.
[[nodiscard]] std::string address_of_peer(std::string_view peer);

}  // namespace overwinter::rpc
