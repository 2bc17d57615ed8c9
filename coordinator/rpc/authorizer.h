// Who calls: a bearer token on the people's port, a certificate on the workers' port. Decided twice
// for each call: by a non-blocking processor before any handler or message is read, and by the
// handler again from the call's own metadata, because gRPC's AuthContext belongs to the connection
// and mixes callers (TRUST §2).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/principal.h"
#include "common/security/identity.h"
#include "coordinator/runtime/views.h"
#include "coordinator/telemetry/audit_log.h"

namespace grpc {
class AuthMetadataProcessor;
class CallbackServerContext;
}  // namespace grpc

namespace overwinter::rpc {

// Thread-safe; never blocks for longer than a look into a view.
class Authorizer {
 public:
  // `now` is cluster time. `views` outlives this.
  Authorizer(const runtime::Views& views, std::function<Time()> now);

  // From the value of an `authorization` header ("Bearer ow_…"). UNAUTHENTICATED in one sentence:
  // missing, unknown, revoked or past its end.
  [[nodiscard]] Result<Principal> person(std::string_view authorization) const;
  // From a verified client certificate. UNAUTHENTICATED for a removed worker, a join file that is
  // used up, past its end or revoked, and for ids that this cluster does not know.
  [[nodiscard]] Result<Principal> peer(const PeerIdentity& identity) const;
  // Whether a certificate is refused already in the handshake: a removed worker's. A join file that
  // is no longer good gets as far as a call, whose answer says why; a closed socket would not.
  [[nodiscard]] bool denied(const PeerIdentity& identity) const;

  // The caller of a call on the people's port, if it has `permission`. PERMISSION_DENIED names what
  // is missing.
  [[nodiscard]] Result<Principal> caller(const grpc::CallbackServerContext& context,
                                         Permission permission) const;
  // The caller of a call on the workers' port.
  [[nodiscard]] Result<Principal> peer_caller(const grpc::CallbackServerContext& context,
                                              Permission permission) const;
  [[nodiscard]] Time now() const { return now_(); }

 private:
  const runtime::Views& views_;
  const std::function<Time()> now_;
};

// Both tell `log` of what they refuse.
[[nodiscard]] std::shared_ptr<grpc::AuthMetadataProcessor> people_processor(
    std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log);
[[nodiscard]] std::shared_ptr<grpc::AuthMetadataProcessor> workers_processor(
    std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log);

}  // namespace overwinter::rpc
