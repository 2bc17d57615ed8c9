#include "coordinator/dashboard/action_routes.h"

#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "coordinator/runtime/job_actions.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/resources.h"
#include "overwinter/v1/checkpoint.pb.h"

namespace overwinter::dashboard {
namespace {

using runtime::JobViewPtr;

std::string job_name(const Act& act) {
  const std::string_view last = act.parts[5];
  return "projects/" + std::string(act.parts[3]) + "/jobs/" +
         std::string(last.substr(0, last.find(':')));
}

// The body as the request of the call, in proto3 JSON; empty: nothing but the name.
template <class Request>
Status read_body(const Act& act, Request& out) {
  const std::string body = act.body.empty() ? "{}" : act.body;
  if (const auto read = google::protobuf::util::JsonStringToMessage(body, &out); !read.ok()) {
    return error(Code::kInvalidArgument,
                 "the body is no JSON of such a request: " + std::string(read.message()), "body");
  }
  out.set_name(job_name(act));
  return Status::success();
}

Response changed(const Sources& sources, JobId id, const std::vector<std::string>& effects) {
  nlohmann::json out{{"effects", effects}};
  if (const auto job = sources.views.job(id)) {
    out["job"] = nlohmann::json::parse(as_json(runtime::job_resource(sources.views, *job)).body);
  }
  return as_json(out);
}

// Of a job that the core does not hold any more: it has ended, or there is none.
void refuse_past(const Act& act, const Done& done) {
  const Status taken = act.sources.pool.run(
      runtime::Work::kRead,
      [&sources = act.sources, caller = act.caller, name = job_name(act), done] {
        const auto past = runtime::find_past_job(sources.store.history(), caller, name);
        done(refusal(past ? runtime::has_ended(**past) : past.error()));
      });
  if (!taken.ok()) done(refusal(taken));
}

// `fill(job, event)` completes the event, or refuses; `effects(job, event)` says what it would do.
template <class Event, class Fill, class Effects>
void ask(const Act& act, const Done& done, Fill fill, Effects effects) {
  const Sources& sources = act.sources;
  const auto found = runtime::find_job(sources.views, act.caller, job_name(act));
  if (!found) {
    if (found.error().code == Code::kNotFound) return refuse_past(act, done);
    return done(refusal(found.error()));
  }
  const runtime::JobView& job = **found;
  if (Status status = runtime::check_acts_on(act.caller, job); !status.ok())
    return done(refusal(status));
  Event event;
  event.by = act.caller;
  event.job = job.id;
  if (Status status = fill(event); !status.ok()) return done(refusal(status));
  auto answer = [&sources, done, id = job.id,
                 said = effects(job, event)](const core::Reply& reply) {
    done(reply.status.ok() ? changed(sources, id, said) : refusal(reply.status));
  };
  bool vital = false;  // a cancel is taken even when the core is busy
  if constexpr (std::is_same_v<Event, core::JobActionRequested>)
    vital = event.action == core::JobAction::kCancel && !event.validate_only;
  if (vital)
    sources.requests.ask_vital(std::move(event), std::move(answer));
  else
    sources.requests.ask(std::move(event), std::move(answer));
}

template <class Request>
void act_on(const Act& act, core::JobAction action, const Done& done) {
  Request request;
  if (Status status = read_body(act, request); !status.ok()) return done(refusal(status));
  ask<core::JobActionRequested>(
      act, done,
      [&](core::JobActionRequested& event) {
        event.action = action;
        event.validate_only = request.validate_only();
        return Status::success();
      },
      [&](const runtime::JobView& job, const core::JobActionRequested& event) {
        std::vector<std::uint64_t> kept;
        for (const auto& stored : act.sources.checkpoints.list(job.id))
          if (stored.damage.empty()) kept.push_back(stored.manifest->step);
        return runtime::foresee(act.sources.views, job, event.action, kept);
      });
}

std::optional<std::uint64_t> step_of(std::string_view text) {
  std::uint64_t step = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return step;
}

Response verified(const Sources& sources, const Principal& caller, const std::string& name,
                  std::uint64_t step) {
  const auto job = runtime::find_any_job(sources.views, sources.store.history(), caller, name);
  if (!job) return refusal(job.error());
  const auto found = sources.checkpoints.get((*job)->id, step);
  if (!found) return refusal(found.error());
  const Status status = sources.checkpoints.verify((*job)->id, found->manifest->key());
  if (status.code == Code::kNotFound) return refusal(status);
  if (!status.ok()) log_error("a checkpoint of job {} is damaged: {}", name, status.message);
  v1::VerifyCheckpointResponse answer;
  answer.set_good(status.ok());
  answer.set_damage(status.message);
  answer.set_size_bytes(found->manifest->total_bytes());
  return as_json(answer);
}

}  // namespace

void verify_checkpoint(const Act& act, const Done& done) {
  const std::string_view last = act.parts[7];
  const auto step = step_of(last.substr(0, last.find(':')));
  if (!step) {
    return done(
        refusal(error(Code::kNotFound, "a checkpoint is named by its step, a whole number")));
  }
  const Status taken = act.sources.pool.run(
      runtime::Work::kCheck, [&sources = act.sources, caller = act.caller, name = job_name(act),
                              step = *step, done] { done(verified(sources, caller, name, step)); });
  if (!taken.ok()) done(refusal(taken));
}

void pause_job(const Act& act, const Done& done) {
  act_on<v1::PauseJobRequest>(act, core::JobAction::kPause, done);
}
void resume_job(const Act& act, const Done& done) {
  act_on<v1::ResumeJobRequest>(act, core::JobAction::kResume, done);
}
void cancel_job(const Act& act, const Done& done) {
  act_on<v1::CancelJobRequest>(act, core::JobAction::kCancel, done);
}

void update_job(const Act& act, const Done& done) {
  v1::UpdateJobRequest request;
  if (Status status = read_body(act, request); !status.ok()) return done(refusal(status));
  ask<core::JobUpdateRequested>(
      act, done,
      [&](core::JobUpdateRequested& event) {
        return runtime::read_update(act.sources.views, request, event);
      },
      [&](const runtime::JobView& job, const core::JobUpdateRequested& event) {
        return runtime::foresee(act.sources.views, job, event);
      });
}

}  // namespace overwinter::dashboard
