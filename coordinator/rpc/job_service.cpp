#include "coordinator/rpc/job_service.h"

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include "common/spec/spec_node.h"
#include "coordinator/rpc/submission.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/explain.h"
#include "coordinator/runtime/job_actions.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr int kBatchMax = 1000;
constexpr std::uint64_t kLastLines = 20;

// Programs print what they like; a string of proto3 is UTF-8.
std::string as_text(std::string text) {
  if (spec::is_utf8(text)) return text;
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return text;
}

// What the rank that failed first printed last; of all ranks where none is known.
void add_last_lines(telemetry::Telemetry& telemetry, const runtime::JobView& job,
                    v1::ExplainJobResponse& out) {
  telemetry::LogQuery query;
  query.tail = kLastLines;
  query.attempt = out.failure().number();
  if (out.failure().has_rank()) query.rank = out.failure().rank();
  const auto page = telemetry.read_logs({job.project, job.id}, query);
  if (!page) return;
  for (const telemetry::LogItem& item : page->items)
    if (!item.entry.is_gap()) out.add_last_lines(as_text(item.entry.text));
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

runtime::NotStored not_stored(const v1::PlanJobRequest& request) {
  runtime::NotStored out;
  for (const auto& [key, shape] : request.shapes()) {
    out.shapes[key] = {shape.rows(), shape.columns(), shape.dtype(), shape.fortran_order(), {}};
  }
  if (!request.has_data()) return out;
  const v1::DataFacts& data = request.data();
  plan::TrainProblem& training = out.training.emplace();
  training.data = {.samples = data.samples(),
                   .inputs = data.inputs(),
                   .outputs = data.outputs(),
                   .classes = data.classes(),
                   .text = data.text(),
                   .table_bytes = data.table_bytes()};
  training.input_bytes = data.file_bytes();
  return out;
}

// Asks the core for a change of a job that the caller may act on. `fill(event)` completes the
// event, or refuses.
template <class Event, class Fill>
Unary* change_job(ServiceContext& context, grpc::CallbackServerContext* call,
                  const std::string& name, v1::Job* job, Fill fill) {
  return answer_later(context, call, Permission::kActOnOwnJobs,
                      [&](const Principal& caller, Unary* reactor) -> Status {
                        const auto view = find_job(context, caller, name);
                        if (!view) {
                          if (view.error().code != Code::kNotFound) return view.error();
                          answer_of_job(context, caller, name, reactor, runtime::has_ended);
                          return Status::success();
                        }
                        if (Status status = runtime::check_acts_on(caller, **view); !status.ok())
                          return status;
                        Event event;
                        event.by = caller;
                        event.job = (*view)->id;
                        if (Status status = fill(event); !status.ok()) return status;
                        auto answer = answer_with_job(context, reactor, event.job, job);
                        bool vital = false;
                        if constexpr (std::is_same_v<Event, core::JobActionRequested>) {
                          vital = event.action == core::JobAction::kCancel;
                        }
                        if (vital) {
                          context.requests.ask_vital(std::move(event), std::move(answer));
                        } else {
                          context.requests.ask(std::move(event), std::move(answer));
                        }
                        return Status::success();
                      });
}

template <class Request>
Unary* act_on_job(ServiceContext& context, grpc::CallbackServerContext* call,
                  const Request& request, core::JobAction action, v1::Job* job) {
  return change_job<core::JobActionRequested>(context, call, request.name(), job,
                                              [&](core::JobActionRequested& event) {
                                                event.action = action;
                                                event.validate_only = request.validate_only();
                                                return Status::success();
                                              });
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

Unary* JobService::SubmitJob(Call* call, const v1::SubmitJobRequest* request, v1::Job* job) {
  return answer_later(
      context_, call, Permission::kSubmitJobs, [&](const Principal& caller, Unary* reactor) {
        submit(context_, caller, *request, [this, reactor, job](Result<runtime::JobViewPtr> view) {
          if (view) *job = runtime::job_resource(context_.views, **view);
          finish(reactor, view ? Status::success() : view.error());
        });
        return Status::success();
      });
}

Unary* JobService::BatchSubmitJobs(Call* call, const v1::BatchSubmitJobsRequest* request,
                                   v1::BatchSubmitJobsResponse* response) {
  return answer_later(
      context_, call, Permission::kSubmitJobs,
      [&](const Principal& caller, Unary* reactor) -> Status {
        if (request->requests_size() > kBatchMax) {
          return error(Code::kInvalidArgument, "at most 1,000 jobs are submitted at once",
                       "requests");
        }
        if (request->requests_size() == 0) {
          return error(Code::kInvalidArgument, "there is no job to submit", "requests");
        }
        for (int i = 0; i < request->requests_size(); ++i) response->add_outcomes();
        // Each outcome is written by one thread; the last to come ends the call.
        auto left = std::make_shared<std::atomic<int>>(request->requests_size());
        for (int i = 0; i < request->requests_size(); ++i) {
          submit(context_, caller, request->requests(i),
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
        return Status::success();
      });
}

Unary* JobService::PlanJob(Call* call, const v1::PlanJobRequest* request,
                           v1::PlanJobResponse* response) {
  return answer_on_pool(context_, call, Permission::kReadJobs, runtime::Work::kPlan,
                        [this, request, response](const Principal& caller) -> Status {
                          v1::JobSpec spec = request->spec();
                          if (Status status = complete(context_, caller, spec); !status.ok()) {
                            return status;
                          }
                          if (Status status = check_named(context_, spec); !status.ok())
                            return status;
                          const auto outcome =
                              context_.planner.plan(caller, spec, not_stored(*request));
                          if (!outcome) return outcome.error();
                          fill(*outcome, *response);
                          return Status::success();
                        });
}

Unary* JobService::GetJob(Call* call, const v1::GetJobRequest* request, v1::Job* job) {
  return answer_later(context_, call, Permission::kReadJobs,
                      [&](const Principal& caller, Unary* reactor) {
                        answer_of_job(context_, caller, request->name(), reactor,
                                      [this, job](const runtime::JobView& view) {
                                        *job = runtime::job_resource(context_.views, view);
                                        return Status::success();
                                      });
                        return Status::success();
                      });
}

Unary* JobService::ListJobs(Call* call, const v1::ListJobsRequest* request,
                            v1::ListJobsResponse* response) {
  return answer_on_pool(context_, call, Permission::kReadJobs, runtime::Work::kRead,
                        [this, request, response](const Principal& caller) {
                          return runtime::list_jobs(context_.views, context_.store, caller,
                                                    *request, *response);
                        });
}

grpc::ServerWriteReactor<v1::WatchJobsResponse>* JobService::WatchJobs(
    Call* call, const v1::WatchJobsRequest* request) {
  return watch_jobs(context_, call, *request);
}

Unary* JobService::PauseJob(Call* call, const v1::PauseJobRequest* request, v1::Job* job) {
  return act_on_job(context_, call, *request, core::JobAction::kPause, job);
}
Unary* JobService::ResumeJob(Call* call, const v1::ResumeJobRequest* request, v1::Job* job) {
  return act_on_job(context_, call, *request, core::JobAction::kResume, job);
}
Unary* JobService::CancelJob(Call* call, const v1::CancelJobRequest* request, v1::Job* job) {
  return act_on_job(context_, call, *request, core::JobAction::kCancel, job);
}
Unary* JobService::UpdateJob(Call* call, const v1::UpdateJobRequest* request, v1::Job* job) {
  return change_job<core::JobUpdateRequested>(
      context_, call, request->name(), job, [&](core::JobUpdateRequested& event) {
        return runtime::read_update(context_.views, *request, event);
      });
}

Unary* JobService::ExplainJob(Call* call, const v1::ExplainJobRequest* request,
                              v1::ExplainJobResponse* response) {
  return answer_later(
      context_, call, Permission::kReadJobs, [&](const Principal& caller, Unary* reactor) {
        answer_of_job(context_, caller, request->name(), reactor,
                      [this, caller, response](const runtime::JobView& view) {
                        *response = runtime::explain_job(context_.views, caller, view);
                        if (response->has_failure()) add_last_lines(telemetry_, view, *response);
                        return Status::success();
                      });
        return Status::success();
      });
}

}  // namespace overwinter::rpc
