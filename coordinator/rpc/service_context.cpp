#include "coordinator/rpc/service_context.h"

#include <optional>

#include "common/wire/status_grpc.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr Duration kRetryAfter{1000};

}  // namespace

grpc::Status to_grpc(const Status& status, std::string_view resource) {
  return wire::to_grpc(
      status,
      status.code == Code::kResourceExhausted ? std::optional<Duration>(kRetryAfter) : std::nullopt,
      resource);
}

void finish(grpc::ServerUnaryReactor* reactor, const Status& status, std::string_view resource) {
  reactor->Finish(to_grpc(status, resource));
}

void answer_of_job(ServiceContext& context, const Principal& caller, const std::string& name,
                   Unary* reactor, std::function<Status(const runtime::JobView&)> answer) {
  const auto view = find_job(context, caller, name);
  if (view) return finish(reactor, answer(**view), name);
  if (view.error().code != Code::kNotFound) return finish(reactor, view.error(), name);
  const Status taken = context.pool.run(
      runtime::Work::kRead, [&context, caller, name, reactor, answer = std::move(answer)] {
        const auto past = runtime::find_past_job(context.store.history(), caller, name);
        finish(reactor, past ? answer(**past) : past.error(), name);
      });
  if (!taken.ok()) finish(reactor, taken);
}

Result<runtime::JobViewPtr> find_job(const ServiceContext& context, const Principal& caller,
                                     std::string_view name) {
  return runtime::find_job(context.views, caller, name);
}

std::string project_of(const Principal& caller, const std::string& asked) {
  if (!asked.empty()) return asked;
  return caller.project.empty() ? "default" : caller.project;
}

Status check_project(const ServiceContext& context, const Principal& caller,
                     std::string_view project) {
  return runtime::check_project(context.views, caller, project);
}

}  // namespace overwinter::rpc
