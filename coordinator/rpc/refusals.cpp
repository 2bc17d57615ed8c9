#include "coordinator/rpc/refusals.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <utility>

#include "common/security/tls_credentials.h"
#include "coordinator/rpc/authorizer.h"
#include "coordinator/rpc/method_table.h"
#include "coordinator/runtime/audit.h"

namespace overwinter::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

constexpr std::string_view kPackage = "/overwinter.v1.";

// "JobService/GetJob". A path that is none of ours is not repeated: it is anybody's text.
std::string action_of(const CalledFrom& call) {
  if (call.path == kHandshake) return "the handshake";
  const auto table = call.door == telemetry::Door::kWorkers ? worker_methods() : people_methods();
  const auto rule = find_rule(table, call.path);
  if (!rule) return "a method that is not there";
  std::string_view name = rule->path;
  name.remove_prefix(name.starts_with(kPackage) ? kPackage.size() : 1);
  return std::string(name);
}

class RefusalWatch final : public grpc::experimental::Interceptor {
 public:
  RefusalWatch(telemetry::AuditLog& log, telemetry::Door door, const Authorizer& authorizer,
               ServerRpcInfo& call)
      : log_(log), door_(door), authorizer_(authorizer), call_(call) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      if (runtime::is_refusal(static_cast<Code>(status.error_code()))) tell(status);
    }
    methods->Proceed();
  }

 private:
  void tell(const grpc::Status& status) {
    const grpc::ServerContextBase& context = *call_.server_context();
    const auto by = door_ == telemetry::Door::kPeople ? person(context) : peer(context);
    const std::string from = context.peer();
    tell_refusal(log_, {door_, call_.method(), from}, by ? &*by : nullptr, authorizer_.now(),
                 error(static_cast<Code>(status.error_code()), status.error_message()));
  }
  [[nodiscard]] Result<Principal> person(const grpc::ServerContextBase& context) const {
    const auto& metadata = context.client_metadata();
    const auto at = metadata.find("authorization");
    if (at == metadata.end()) return fail(Code::kUnauthenticated, "no token was sent");
    return authorizer_.person({at->second.data(), at->second.size()});
  }
  [[nodiscard]] Result<Principal> peer(const grpc::ServerContextBase& context) const {
    const auto identity = peer_identity(*context.auth_context());
    if (!identity) return fail(identity.error());
    return authorizer_.peer(*identity);
  }

  telemetry::AuditLog& log_;
  const telemetry::Door door_;
  const Authorizer& authorizer_;
  ServerRpcInfo& call_;
};

class RefusalWatchFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  RefusalWatchFactory(telemetry::AuditLog& log, telemetry::Door door,
                      std::shared_ptr<const Authorizer> authorizer)
      : log_(log), door_(door), authorizer_(std::move(authorizer)) {}
  // Streams pass unwatched: what they may is decided before their handlers.
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    if (info->type() != ServerRpcInfo::Type::UNARY) return nullptr;
    return new RefusalWatch(log_, door_, *authorizer_, *info);  // gRPC owns it
  }

 private:
  telemetry::AuditLog& log_;
  const telemetry::Door door_;
  const std::shared_ptr<const Authorizer> authorizer_;
};

}  // namespace

void tell_refusal(telemetry::AuditLog& log, const CalledFrom& call, const Principal* by, Time now,
                  const Status& status) {
  if (!runtime::is_refusal(status.code)) return;
  telemetry::AuditEvent event = runtime::audit_event(by, now);
  event.door = call.door;
  event.code = status.code;
  event.action = action_of(call);
  event.reason = status.message;
  event.address = address_of_peer(call.peer);
  log.refused(std::move(event));
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> refusal_watch(
    telemetry::AuditLog& log, telemetry::Door door, std::shared_ptr<const Authorizer> authorizer) {
  return std::make_unique<RefusalWatchFactory>(log, door, std::move(authorizer));
}

std::string address_of_peer(std::string_view peer) {
  const bool is_v6 = peer.starts_with("ipv6:");
  if (!is_v6 && !peer.starts_with("ipv4:")) return {};
  peer.remove_prefix(5);
  const auto colon = peer.rfind(':');
  if (colon == std::string_view::npos) return {};
  std::string address(peer.substr(0, colon));
  if (!is_v6) return address;
  // [ADDRESS] with its brackets written as in an address of the web.
  for (const std::string_view bracket : {"%5B", "%5D", "[", "]"}) {
    if (const auto at = address.find(bracket); at != std::string::npos) {
      address.erase(at, bracket.size());
    }
  }
  return address;
}

}  // namespace overwinter::rpc
