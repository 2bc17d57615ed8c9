// AdminService: what is asked and done about workers, the cluster and projects.
#include <algorithm>
#include <utility>

#include "common/base/version.h"
#include "common/spec/spec.h"
#include "coordinator/rpc/admin_service.h"

namespace overwinter::rpc {
namespace {

constexpr int kWorkersPageMax = 1000;

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetClusterStatus(Call* call,
                                                         const v1::GetClusterStatusRequest*,
                                                         v1::ClusterStatus* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadWorkers);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const Status taken =
      context_.pool.run(runtime::Work::kRead, [this, reactor, response, caller = *caller] {
        const Time now = context_.now();
        *response = runtime::cluster_resource(context_.views, caller.project, now);
        response->set_version(kVersion);
        runtime::set_timestamp(*response->mutable_started(), context_.started);
        response->set_dashboard(context_.dashboard_url);
        response->set_disk_full(!context_.disk_room().ok());
        const bool machines = may(caller, Permission::kReadAllMoney) && caller.project.empty();
        finish(reactor, context_.costs.fill_status(machines, caller.project, now, *response));
      });
  if (!taken.ok()) finish(reactor, taken);
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::ListWorkers(Call* call,
                                                    const v1::ListWorkersRequest* request,
                                                    v1::ListWorkersResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadWorkers);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  // A page token is the name of the last worker shown; workers are listed in the order they joined.
  WorkerId after;
  if (!request->page_token().empty()) {
    const auto last = runtime::find_worker(context_.views, request->page_token());
    if (!last) {
      finish(reactor, error(Code::kInvalidArgument, "that page token does not belong to this list",
                            "page_token", "list again without it"));
      return reactor;
    }
    after = (*last)->id;
  }
  const int size =
      request->page_size() <= 0 ? kWorkersPageMax : std::min(request->page_size(), kWorkersPageMax);
  const Time now = context_.now();
  std::string last;
  for (const auto& worker : context_.views.workers()) {
    if (worker->id <= after) continue;
    if (response->workers_size() == size) {
      response->set_next_page_token(last);
      break;
    }
    *response->add_workers() = runtime::worker_resource(context_.views, *worker, now);
    last = worker->name;
  }
  finish(reactor, Status::success());
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::GetWorker(Call* call, const v1::GetWorkerRequest* request,
                                                  v1::Worker* worker) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadWorkers);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = runtime::find_worker(context_.views, request->name());
  if (view) *worker = runtime::worker_resource(context_.views, **view, context_.now());
  finish(reactor, view ? Status::success() : view.error());
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::act(Call* call, const std::string& name,
                                            core::WorkerAction action, v1::Worker* worker) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kActOnWorkers);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = runtime::find_worker(context_.views, name);
  if (!view) {
    finish(reactor, view.error());
    return reactor;
  }
  core::WorkerActionRequested event;
  event.by = *caller;
  event.worker = (*view)->id;
  event.action = action;
  const WorkerId id = event.worker;
  context_.requests.ask(std::move(event), [this, reactor, id, worker](const core::Reply& reply) {
    if (const auto after = context_.views.worker(id); reply.status.ok() && after) {
      *worker = runtime::worker_resource(context_.views, *after, context_.now());
    }
    finish(reactor, reply.status);
  });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::DrainWorker(Call* call,
                                                    const v1::DrainWorkerRequest* request,
                                                    v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kDrain, worker);
}
grpc::ServerUnaryReactor* AdminService::ResumeWorker(Call* call,
                                                     const v1::ResumeWorkerRequest* request,
                                                     v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kResume, worker);
}
grpc::ServerUnaryReactor* AdminService::RemoveWorker(Call* call,
                                                     const v1::RemoveWorkerRequest* request,
                                                     v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kRemove, worker);
}

grpc::ServerUnaryReactor* AdminService::CreateProject(Call* call,
                                                      const v1::CreateProjectRequest* request,
                                                      v1::Project* project) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kManageProjects);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok() && !spec::is_project_name(request->project())) {
    status = error(Code::kInvalidArgument,
                   "a project's name is 1 to 40 lower case letters, digits and dashes, beginning "
                   "with a letter",
                   "project");
  }
  if (status.ok() && !caller->project.empty()) {
    status = error(Code::kPermissionDenied, "a token of one project may not make another");
  }
  if (!status.ok()) {
    finish(reactor, status);
    return reactor;
  }
  core::ProjectCreateRequested event;
  event.by = *caller;
  event.project = request->project();
  context_.requests.ask(std::move(event),
                        [reactor, project, name = request->project()](const core::Reply& reply) {
                          if (reply.status.ok()) project->set_name("projects/" + name);
                          finish(reactor, reply.status);
                        });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::ListProjects(Call* call, const v1::ListProjectsRequest*,
                                                     v1::ListProjectsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (caller) {
    for (const auto& project : context_.views.cluster()->projects) {
      if (sees_project(*caller, project)) response->add_projects()->set_name("projects/" + project);
    }
  }
  finish(reactor, caller ? Status::success() : caller.error());
  return reactor;
}

}  // namespace overwinter::rpc
