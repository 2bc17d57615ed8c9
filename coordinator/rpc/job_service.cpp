#include "coordinator/rpc/job_service.h"

#include <atomic>
#include <memory>
#include <utility>

#include "coordinator/rpc/submission.h"
#include "coordinator/runtime/explain.h"
#include "coordinator/runtime/job_filter.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr int kBatchMax = 1000;

// Submitters act on what they submitted; operators and admins on every job that they see.
Status check_acts_on(const Principal& caller, const runtime::JobView& job) {
  if (caller.role != Role::kSubmitter || job.submitter == caller.id) return Status::success();
  return error(Code::kPermissionDenied, "job " + job.name + " was submitted by somebody else", {},
               "a token with the role operator may act on it");
}

std::function<void(const core::Reply&)> answer_with_job(const ServiceContext& context,
                                                        grpc::ServerUnaryReactor* reactor, JobId id,
                                                        v1::Job* job) {
  return [&context, reactor, id, job](const core::Reply& reply) {
    if (reply.status.ok()) {
      if (const auto view = context.views.job(id))
        *job = runtime::job_resource(context.views, *view);
    }
    finish(reactor, reply.status);
  };
}

runtime::Shapes shapes_of(const v1::PlanJobRequest& request) {
  runtime::Shapes shapes;
  for (const auto& [key, shape] : request.shapes()) {
    shapes[key] = {shape.rows(), shape.columns(), shape.dtype(), shape.fortran_order(), {}};
  }
  return shapes;
}

Status read_update(const ServiceContext& context, const v1::UpdateJobRequest& request,
                   core::JobUpdateRequested& event) {
  if (request.has_cap()) {
    const std::string currency = context.views.cluster()->prices.currency;
    if (!request.cap().currency_code().empty() && request.cap().currency_code() != currency) {
      return error(Code::kInvalidArgument, "prices of this cluster are in " + currency, "cap");
    }
    if (request.cap().amount_micros() <= 0) {
      return error(Code::kInvalidArgument, "a cap is more than nothing", "cap");
    }
    event.cap = Money{request.cap().amount_micros()};
  }
  for (const Priority priority : {Priority::kLow, Priority::kNormal, Priority::kHigh}) {
    if (request.priority() == runtime::priority_name(priority)) event.priority = priority;
  }
  if (!request.priority().empty() && !event.priority) {
    return error(Code::kInvalidArgument, "a priority is low, normal or high", "priority");
  }
  if (!event.cap && !event.priority) {
    return error(Code::kInvalidArgument, "nothing to change was given: a cap or a priority", "cap");
  }
  return Status::success();
}

void fill(const plan::PlanOutcome& outcome, v1::PlanJobResponse& response) {
  for (const auto& alternative : outcome.alternatives) {
    *response.add_alternatives() = alternative.plan;
  }
  if (!outcome.alternatives.empty()) *response.mutable_plan() = outcome.alternatives.front().plan;
  for (const auto& out : outcome.ruled_out) *response.add_ruled_out() = out;
  response.set_reason(outcome.reason);
}

}  // namespace

grpc::ServerUnaryReactor* JobService::SubmitJob(grpc::CallbackServerContext* call,
                                                const v1::SubmitJobRequest* request, v1::Job* job) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kSubmitJobs);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  submit(context_, *caller, *request, [this, reactor, job](Result<runtime::JobViewPtr> view) {
    if (view) *job = runtime::job_resource(context_.views, **view);
    finish(reactor, view ? Status::success() : view.error());
  });
  return reactor;
}

grpc::ServerUnaryReactor* JobService::BatchSubmitJobs(grpc::CallbackServerContext* call,
                                                      const v1::BatchSubmitJobsRequest* request,
                                                      v1::BatchSubmitJobsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kSubmitJobs);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok() && request->requests_size() > kBatchMax) {
    status = error(Code::kInvalidArgument, "at most 1,000 jobs are submitted at once", "requests");
  }
  if (!status.ok() || request->requests_size() == 0) {
    finish(reactor, status);
    return reactor;
  }
  for (int i = 0; i < request->requests_size(); ++i) response->add_outcomes();
  // Each outcome is written by one thread; the last to come ends the call.
  auto left = std::make_shared<std::atomic<int>>(request->requests_size());
  for (int i = 0; i < request->requests_size(); ++i) {
    submit(context_, *caller, request->requests(i),
           [this, reactor, left,
            outcome = response->mutable_outcomes(i)](Result<runtime::JobViewPtr> view) {
             if (view) {
               *outcome->mutable_job() = runtime::job_resource(context_.views, **view);
             } else {
               outcome->set_code(static_cast<int>(view.error().code));
               outcome->set_message(view.error().message);
             }
             if (--*left == 0) finish(reactor, Status::success());
           });
  }
  return reactor;
}

grpc::ServerUnaryReactor* JobService::PlanJob(grpc::CallbackServerContext* call,
                                              const v1::PlanJobRequest* request,
                                              v1::PlanJobResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  auto spec = std::make_shared<v1::JobSpec>(request->spec());
  Status status = caller ? complete(context_, *caller, *spec) : caller.error();
  if (status.ok()) {
    status = context_.pool.run(runtime::Work::kPlan,
                               [this, reactor, spec, shapes = shapes_of(*request), response] {
                                 const auto outcome = context_.planner.plan(*spec, shapes);
                                 if (outcome) fill(*outcome, *response);
                                 finish(reactor, outcome ? Status::success() : outcome.error());
                               });
    if (status.ok()) return reactor;
  }
  finish(reactor, status);
  return reactor;
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* call,
                                             const v1::GetJobRequest* request, v1::Job* job) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = find_job(context_, *caller, request->name());
  if (view) *job = runtime::job_resource(context_.views, **view);
  if (view || view.error().code != Code::kNotFound) {
    finish(reactor, view ? Status::success() : view.error());
    return reactor;
  }
  // It may have left the core long ago.
  const Status taken =
      context_.pool.run(runtime::Work::kRead, [this, reactor, request, job, caller = *caller] {
        const auto past = runtime::find_past_job(context_.history, caller, request->name());
        if (past) *job = runtime::job_resource(context_.views, **past);
        finish(reactor, past ? Status::success() : past.error());
      });
  if (!taken.ok()) finish(reactor, taken);
  return reactor;
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* call,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  finish(reactor, caller ? runtime::list_jobs(context_.views, *caller, *request, *response)
                         : caller.error());
  return reactor;
}

grpc::ServerWriteReactor<v1::WatchJobsResponse>* JobService::WatchJobs(
    grpc::CallbackServerContext* call, const v1::WatchJobsRequest* request) {
  return watch_jobs(context_, call, *request);
}

grpc::ServerUnaryReactor* JobService::act(grpc::CallbackServerContext* call,
                                          const std::string& name, core::JobAction action,
                                          v1::Job* job) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kActOnOwnJobs);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = find_job(context_, *caller, name);
  if (Status status = view ? check_acts_on(*caller, **view) : view.error(); !status.ok()) {
    finish(reactor, status);
    return reactor;
  }
  core::JobActionRequested event;
  event.by = *caller;
  event.job = (*view)->id;
  event.action = action;
  auto answer = answer_with_job(context_, reactor, event.job, job);
  if (action == core::JobAction::kCancel) {
    context_.requests.ask_vital(std::move(event), std::move(answer));
  } else {
    context_.requests.ask(std::move(event), std::move(answer));
  }
  return reactor;
}

grpc::ServerUnaryReactor* JobService::PauseJob(grpc::CallbackServerContext* call,
                                               const v1::PauseJobRequest* request, v1::Job* job) {
  return act(call, request->name(), core::JobAction::kPause, job);
}
grpc::ServerUnaryReactor* JobService::ResumeJob(grpc::CallbackServerContext* call,
                                                const v1::ResumeJobRequest* request, v1::Job* job) {
  return act(call, request->name(), core::JobAction::kResume, job);
}
grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* call,
                                                const v1::CancelJobRequest* request, v1::Job* job) {
  return act(call, request->name(), core::JobAction::kCancel, job);
}

grpc::ServerUnaryReactor* JobService::UpdateJob(grpc::CallbackServerContext* call,
                                                const v1::UpdateJobRequest* request, v1::Job* job) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kActOnOwnJobs);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = find_job(context_, *caller, request->name());
  if (Status status = view ? check_acts_on(*caller, **view) : view.error(); !status.ok()) {
    finish(reactor, status);
    return reactor;
  }
  core::JobUpdateRequested event;
  event.by = *caller;
  event.job = (*view)->id;
  if (Status status = read_update(context_, *request, event); !status.ok()) {
    finish(reactor, status);
    return reactor;
  }
  auto answer = answer_with_job(context_, reactor, event.job, job);
  context_.requests.ask(std::move(event), std::move(answer));
  return reactor;
}

grpc::ServerUnaryReactor* JobService::ExplainJob(grpc::CallbackServerContext* call,
                                                 const v1::ExplainJobRequest* request,
                                                 v1::ExplainJobResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  const auto view = find_job(context_, *caller, request->name());
  if (view) *response = runtime::explain_job(context_.views, **view);
  finish(reactor, view ? Status::success() : view.error());
  return reactor;
}

}  // namespace overwinter::rpc
