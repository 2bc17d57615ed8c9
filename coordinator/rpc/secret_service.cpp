#include "coordinator/rpc/secret_service.h"

#include <utility>

#include "common/base/log.h"
#include "common/wire/convert.h"
#include "common/wire/unknown_fields.h"
#include "coordinator/rpc/seat_access.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/audit.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::rpc {
namespace {

// The most that a job is given: what Linux takes as the variables of a process is 2 MiB, and the
// job has others.
constexpr std::size_t kGivenBytesMax = std::size_t{1} * kMiB;

std::string secret_resource_name(const std::string& project, std::string_view name) {
  return "projects/" + project + "/secrets/" + std::string(name);
}

// Since when a secret is set, for the audit; empty: it is not.
std::string how_it_is(const secrets::SecretStore& secrets, const std::string& project,
                      const std::string& name) {
  const auto list = secrets.list(project);
  if (!list) return {};
  for (const secrets::SecretInfo& info : *list) {
    if (info.name == name) return "set at " + format_time(info.set);
  }
  return {};
}

void tell_decision(ServiceContext& context, const Principal& caller, const char* action,
                   const std::string& project, const std::string& name, const std::string& before,
                   const char* after) {
  auto event = runtime::audit_event(&caller, context.now());
  event.action = action;
  event.object = secret_resource_name(project, name);
  event.project = project;
  event.before = before;
  event.after = after;
  context.audit.decided(std::move(event));
}

// Ends the call with what `answer(project)` says, on the pool; another project's name is answered
// as one that does not exist.
template <class Request, class Answer>
Unary* answer_of_project(ServiceContext& context, grpc::CallbackServerContext* call,
                         const Request* request, Answer answer) {
  return answer_on_pool(
      context, call, Permission::kSubmitJobs, runtime::Work::kRead,
      [&context, request, answer = std::move(answer)](const Principal& caller) -> Status {
        const std::string project = project_of(caller, request->project());
        if (Status status = check_project(context, caller, project); !status.ok()) return status;
        return answer(caller, project);
      });
}

}  // namespace

SecretService::Unary* SecretService::SetSecret(Call* call, const v1::SetSecretRequest* request,
                                               v1::Secret* response) {
  return answer_of_project(
      context_, call, request,
      [this, request, response](const Principal& caller, const std::string& project) -> Status {
        if (Status status = wire::refuse_unknown_fields(*request); !status.ok()) return status;
        if (Status status = context_.disk_room(); !status.ok()) return status;
        const Time now = context_.now();
        const std::string before = how_it_is(secrets_, project, request->name());
        if (Status status = secrets_.set(project, request->name(), request->value(), now);
            !status.ok())
          return status;
        log_info("secret {} of project {} was set by {}", request->name(), project, caller.name);
        tell_decision(context_, caller, "secret.set", project, request->name(), before, "set");
        response->set_name(secret_resource_name(project, request->name()));
        *response->mutable_set_time() = wire::to_proto(now);
        return Status::success();
      });
}

SecretService::Unary* SecretService::ListSecrets(Call* call, const v1::ListSecretsRequest* request,
                                                 v1::ListSecretsResponse* response) {
  return answer_of_project(context_, call, request,
                           [this, response](const Principal&, const std::string& project) {
                             const auto list = secrets_.list(project);
                             if (!list) return list.error();
                             for (const secrets::SecretInfo& info : *list) {
                               v1::Secret& out = *response->add_secrets();
                               out.set_name(secret_resource_name(project, info.name));
                               out.set_problem(info.problem);
                               if (info.problem.empty())
                                 *out.mutable_set_time() = wire::to_proto(info.set);
                             }
                             return Status::success();
                           });
}

SecretService::Unary* SecretService::DeleteSecret(Call* call,
                                                  const v1::DeleteSecretRequest* request,
                                                  v1::DeleteSecretResponse* /*response*/) {
  return answer_of_project(
      context_, call, request,
      [this, request](const Principal& caller, const std::string& project) -> Status {
        const std::string before = how_it_is(secrets_, project, request->name());
        if (Status status = secrets_.remove(project, request->name()); !status.ok()) return status;
        log_info("secret {} of project {} was deleted by {}", request->name(), project,
                 caller.name);
        tell_decision(context_, caller, "secret.delete", project, request->name(), before,
                      "deleted");
        return Status::success();
      });
}

Result<v1::ReadSecretsResponse> secrets_of_seat(const ServiceContext& context,
                                                const secrets::SecretStore& secrets,
                                                const CapabilityVerifier& verifier, WorkerId worker,
                                                const v1::ReadSecretsRequest& request) {
  const auto seat = wire::from_proto(request.seat());
  if (!seat) return fail(seat.error());
  const auto capability =
      seat_capability(verifier, request.capability(), worker, *seat, context.now());
  if (!capability) return fail(capability.error());
  const auto job = job_of_held_seat(context.views, worker, *seat);
  if (!job) return fail(Code::kAborted, "the seat has ended", "seat");
  v1::JobSpec spec;
  if (!job->spec || !spec.ParseFromString(*job->spec))
    return fail(Code::kInternal, "the job's specification cannot be read");
  v1::ReadSecretsResponse response;
  std::size_t bytes = 0;
  for (const std::string& name : spec.exec().secrets()) {
    auto value = secrets.read(job->project, name);
    if (!value) return fail(std::move(value.error()));
    bytes += name.size() + value->size();
    if (bytes > kGivenBytesMax)
      return fail(Code::kFailedPrecondition,
                  "the secrets of job " + job->name + " have more than 1 MiB together", {},
                  "put large ones into one file and mount it");
    (*response.mutable_values())[name] = std::move(*value);
  }
  return response;
}

SecretService::Unary* SecretService::ReadSecrets(Call* call, const v1::ReadSecretsRequest* request,
                                                 v1::ReadSecretsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok()) {
    status = context_.pool.run(
        runtime::Work::kRead, [this, worker = WorkerId(caller->id), reactor, request, response] {
          auto read = secrets_of_seat(context_, secrets_, verifier_, worker, *request);
          if (read) *response = std::move(*read);
          finish(reactor, read ? Status::success() : read.error());
        });
  }
  if (!status.ok()) finish(reactor, status);
  return reactor;
}

}  // namespace overwinter::rpc
