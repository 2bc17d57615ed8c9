#include "coordinator/rpc/service_context.h"

#include <optional>

#include "common/wire/status_grpc.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr Duration kRetryAfter{1000};

}  // namespace

grpc::Status to_grpc(const Status& status) {
  return wire::to_grpc(status, status.code == Code::kResourceExhausted
                                   ? std::optional<Duration>(kRetryAfter)
                                   : std::nullopt);
}

void finish(grpc::ServerUnaryReactor* reactor, const Status& status) {
  reactor->Finish(to_grpc(status));
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
