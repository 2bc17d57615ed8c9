#include "coordinator/rpc/authorizer.h"

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/server_context.h>

#include <utility>

#include "common/security/tls_credentials.h"
#include "coordinator/rpc/method_table.h"
#include "coordinator/rpc/refusals.h"
#include "coordinator/runtime/credentials.h"

namespace overwinter::rpc {
namespace {

std::string_view view(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

std::string_view header(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                        std::string_view name) {
  const auto it = metadata.find(grpc::string_ref(name.data(), name.size()));
  return it == metadata.end() ? std::string_view() : view(it->second);
}

grpc::Status plain(const Status& status) {
  return {static_cast<grpc::StatusCode>(status.code), status.message};
}

Status apply_rule(std::span<const MethodRule> table, std::string_view path,
                  const Result<Principal>& principal) {
  const auto rule = find_rule(table, path);
  if (rule && rule->access == Access::kNobodyNeeded) return Status::success();
  if (!principal) return principal.error();
  if (!rule) return error(Code::kUnimplemented, "there is no such method on this port");
  if (rule->access == Access::kAnyPrincipal) return Status::success();
  return runtime::require(*principal, rule->permission);
}

class PeopleProcessor final : public grpc::AuthMetadataProcessor {
 public:
  PeopleProcessor(std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log)
      : authorizer_(std::move(authorizer)), log_(log) {}
  [[nodiscard]] bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata*,
                       OutputMetadata*) override {
    const std::string_view path = header(metadata, ":path");
    const auto caller = authorizer_->person(header(metadata, "authorization"));
    const Status status = apply_rule(people_methods(), path, caller);
    if (!status.ok()) {
      tell_refusal(log_, {telemetry::Door::kPeople, path}, caller ? &*caller : nullptr,
                   authorizer_->now(), status);
    }
    return plain(status);
  }

 private:
  const std::shared_ptr<const Authorizer> authorizer_;
  telemetry::AuditLog& log_;
};

class WorkersProcessor final : public grpc::AuthMetadataProcessor {
 public:
  WorkersProcessor(std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log)
      : authorizer_(std::move(authorizer)), log_(log) {}
  [[nodiscard]] bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const std::string_view path = header(metadata, ":path");
    const auto identity = peer_identity(*context);
    const auto caller =
        identity ? authorizer_->peer(*identity) : Result<Principal>(fail(identity.error()));
    const Status status = identity ? apply_rule(worker_methods(), path, caller) : identity.error();
    if (!status.ok()) {
      tell_refusal(log_, {telemetry::Door::kWorkers, path}, caller ? &*caller : nullptr,
                   authorizer_->now(), status);
    }
    return plain(status);
  }

 private:
  const std::shared_ptr<const Authorizer> authorizer_;
  telemetry::AuditLog& log_;
};

}  // namespace

Authorizer::Authorizer(const runtime::Views& views, std::function<Time()> now)
    : views_(views), now_(std::move(now)) {}

Result<Principal> Authorizer::person(std::string_view authorization) const {
  return runtime::person_of(views_, authorization, now_());
}

Result<Principal> Authorizer::peer(const PeerIdentity& identity) const {
  const std::uint64_t id = numeric_id(identity);
  if (identity.kind == PeerKind::kWorker) {
    const auto worker = views_.worker(WorkerId(id));
    if (!worker) return fail(Code::kUnauthenticated, "this cluster does not know that worker");
    if (worker->state == core::WorkerState::kRemoved) {
      return fail(Code::kUnauthenticated, "worker " + worker->name + " was removed");
    }
    return Principal{PrincipalKind::kWorker, id, Role::kNone, {}, worker->name};
  }
  if (identity.kind == PeerKind::kJoin) {
    const auto file = views_.join_file(JoinFileId(id));
    if (!file) return fail(Code::kUnauthenticated, "this cluster does not know that join file");
    if (file->revoked) return fail(Code::kUnauthenticated, "that join file was revoked");
    if (now_() >= file->expires) {
      return fail(Code::kUnauthenticated, "that join file ended at " + format_time(file->expires),
                  {}, "make a new one: overwinter tokens create --role worker");
    }
    return Principal{PrincipalKind::kJoin, id, Role::kNone, {}, file->name};
  }
  return fail(Code::kUnauthenticated, "no certificate of a worker or of a join file was shown");
}

bool Authorizer::denied(const PeerIdentity& identity) const {
  return identity.kind == PeerKind::kWorker && !peer(identity).has_value();
}

Result<Principal> Authorizer::caller(const grpc::CallbackServerContext& context,
                                     Permission permission) const {
  auto principal = person(header(context.client_metadata(), "authorization"));
  if (!principal) return principal;
  if (Status status = runtime::require(*principal, permission); !status.ok())
    return fail(std::move(status));
  return principal;
}

Result<Principal> Authorizer::peer_caller(const grpc::CallbackServerContext& context,
                                          Permission permission) const {
  const auto identity = peer_identity(*context.auth_context());
  if (!identity) return fail(identity.error());
  auto principal = peer(*identity);
  if (!principal) return principal;
  if (Status status = runtime::require(*principal, permission); !status.ok())
    return fail(std::move(status));
  return principal;
}

std::shared_ptr<grpc::AuthMetadataProcessor> people_processor(
    std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log) {
  return std::make_shared<PeopleProcessor>(std::move(authorizer), log);
}
std::shared_ptr<grpc::AuthMetadataProcessor> workers_processor(
    std::shared_ptr<const Authorizer> authorizer, telemetry::AuditLog& log) {
  return std::make_shared<WorkersProcessor>(std::move(authorizer), log);
}

}  // namespace overwinter::rpc
