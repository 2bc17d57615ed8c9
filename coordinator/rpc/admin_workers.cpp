// AdminService: what is asked and done about workers, the cluster and projects.
#include <utility>

#include "common/spec/spec.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/audit.h"
#include "coordinator/runtime/pages.h"

namespace overwinter::rpc {
namespace {

// Who is bound to a project acts on the machines of that project alone: draining a shared one would
// stop the work of others.
Status check_is_of_project(const Principal& caller, const runtime::WorkerView& worker) {
  if (caller.project.empty()) return Status::success();
  if (worker.projects == std::vector{caller.project}) return Status::success();
  return error(Code::kPermissionDenied,
               "worker " + worker.name + " serves more than project " + caller.project, {},
               "a token of all projects may act on it");
}

}  // namespace

Unary* AdminService::GetClusterStatus(Call* call, const v1::GetClusterStatusRequest*,
                                      v1::ClusterStatus* response) {
  return answer_on_pool(context_, call, Permission::kReadWorkers, runtime::Work::kRead,
                        [this, response](const Principal& caller) -> Status {
                          auto status = runtime::cluster_status(context_.views, context_.costs,
                                                                context_.store, context_.serving,
                                                                caller, context_.now());
                          if (!status) return status.error();
                          *response = std::move(*status);
                          return Status::success();
                        });
}

Unary* AdminService::ListWorkers(Call* call, const v1::ListWorkersRequest* request,
                                 v1::ListWorkersResponse* response) {
  return answer_now(
      context_, call, Permission::kReadWorkers, [&](const Principal& caller) -> Status {
        const std::string mark = "workers\n" + caller.project;
        const auto page = runtime::read_page(request->page_size(), request->page_token(), mark);
        if (!page) return page.error();
        // In the order they joined; a token names the last worker shown.
        WorkerId after;
        if (!page->after.empty()) {
          const auto last = runtime::find_worker(context_.views, caller, page->after);
          if (!last) return last.error();
          after = (*last)->id;
        }
        const Time now = context_.now();
        std::string last;
        for (const auto& worker : context_.views.workers()) {
          if (worker->id <= after || !runtime::sees_worker(caller, *worker)) continue;
          if (response->workers_size() == page->size) {
            response->set_next_page_token(runtime::page_token(mark, last));
            break;
          }
          *response->add_workers() = runtime::worker_resource(context_.views, caller, *worker, now);
          last = worker->name;
        }
        return Status::success();
      });
}

Unary* AdminService::GetWorker(Call* call, const v1::GetWorkerRequest* request,
                               v1::Worker* worker) {
  return answer_later(
      context_, call, Permission::kReadWorkers, [&](const Principal& caller, Unary* reactor) {
        const auto view = runtime::find_worker(context_.views, caller, request->name());
        if (view) {
          *worker = runtime::worker_resource(context_.views, caller, **view, context_.now());
        }
        finish(reactor, view ? Status::success() : view.error(), request->name());
        return Status::success();
      });
}

Unary* AdminService::act(Call* call, const std::string& name, core::WorkerAction action,
                         v1::Worker* worker) {
  return answer_later(
      context_, call, Permission::kActOnWorkers,
      [&](const Principal& caller, Unary* reactor) -> Status {
        const auto view = runtime::find_worker(context_.views, caller, name);
        if (!view) return view.error();
        if (Status status = check_is_of_project(caller, **view); !status.ok()) return status;
        core::WorkerActionRequested event;
        event.by = caller;
        event.worker = (*view)->id;
        event.action = action;
        const WorkerId id = event.worker;
        context_.requests.ask(
            std::move(event), [this, caller, reactor, id, worker](const core::Reply& reply) {
              if (const auto after = context_.views.worker(id); reply.status.ok() && after) {
                *worker = runtime::worker_resource(context_.views, caller, *after, context_.now());
              }
              finish(reactor, reply.status);
            });
        return Status::success();
      });
}

Unary* AdminService::DrainWorker(Call* call, const v1::DrainWorkerRequest* request,
                                 v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kDrain, worker);
}
Unary* AdminService::ResumeWorker(Call* call, const v1::ResumeWorkerRequest* request,
                                  v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kResume, worker);
}
Unary* AdminService::RemoveWorker(Call* call, const v1::RemoveWorkerRequest* request,
                                  v1::Worker* worker) {
  return act(call, request->name(), core::WorkerAction::kRemove, worker);
}

Unary* AdminService::CreateProject(Call* call, const v1::CreateProjectRequest* request,
                                   v1::Project* project) {
  return answer_later(
      context_, call, Permission::kManageProjects,
      [&](const Principal& caller, Unary* reactor) -> Status {
        if (!spec::is_project_name(request->project())) {
          return error(Code::kInvalidArgument,
                       "a project's name is 1 to 40 lower case letters, digits and dashes, "
                       "beginning with a letter",
                       "project");
        }
        if (!caller.project.empty()) {
          return error(Code::kPermissionDenied, "a token of one project may not make another");
        }
        core::ProjectCreateRequested event;
        event.by = caller;
        event.project = request->project();
        context_.requests.ask(
            std::move(event),
            [reactor, project, name = "projects/" + request->project()](const core::Reply& reply) {
              if (reply.status.ok()) project->set_name(name);
              finish(reactor, reply.status, name);
            });
        return Status::success();
      });
}

Unary* AdminService::ListProjects(Call* call, const v1::ListProjectsRequest* request,
                                  v1::ListProjectsResponse* response) {
  return answer_now(context_, call, Permission::kReadJobs, [&](const Principal& caller) -> Status {
    const std::string mark = "projects\n" + caller.project;
    const auto page = runtime::read_page(request->page_size(), request->page_token(), mark);
    if (!page) return page.error();
    std::string last;
    for (const auto& project : context_.views.cluster()->projects) {  // sorted
      if (project <= page->after || !sees_project(caller, project)) continue;
      if (response->projects_size() == page->size) {
        response->set_next_page_token(runtime::page_token(mark, last));
        break;
      }
      response->add_projects()->set_name("projects/" + project);
      last = project;
    }
    return Status::success();
  });
}

Unary* AdminService::ListAuditEntries(Call* call, const v1::ListAuditEntriesRequest* request,
                                      v1::ListAuditEntriesResponse* response) {
  return answer_on_pool(context_, call, Permission::kReadAudit, runtime::Work::kRead,
                        [this, request, response](const Principal& caller) {
                          return runtime::list_audit(context_.store, context_.audit, caller,
                                                     *request, *response);
                        });
}

}  // namespace overwinter::rpc
