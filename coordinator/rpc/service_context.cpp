#include "coordinator/rpc/service_context.h"

#include <algorithm>

#include "common/wire/status_grpc.h"

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
  const auto parsed = runtime::parse_job_name(name);
  if (!parsed) return fail(parsed.error());
  if (sees_project(caller, parsed->project)) {
    if (auto job = context.views.job(parsed->project, parsed->job)) return job;
  }
  return fail(Code::kNotFound, "there is no job " + std::string(name), "name",
              "overwinter jobs list shows the jobs that you see");
}

Status check_project(const ServiceContext& context, const Principal& caller,
                     std::string_view project) {
  const auto cluster = context.views.cluster();
  const bool exists = std::find(cluster->projects.begin(), cluster->projects.end(), project) !=
                      cluster->projects.end();
  if (exists && sees_project(caller, project)) return Status::success();
  return error(Code::kNotFound, "there is no project " + std::string(project), "project",
               "overwinter projects list shows the projects that you see");
}

}  // namespace overwinter::rpc
