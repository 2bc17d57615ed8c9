#include "coordinator/runtime/job_actions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "common/base/money.h"
#include "common/wire/unknown_fields.h"
#include "coordinator/ledger/charge.h"
#include "coordinator/runtime/job_filter.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::runtime {
namespace {

constexpr std::size_t kPathShownMax = 64;
constexpr std::size_t kCheckpointsShown = 5;
// Before that much is done nobody knows what the whole will cost.
constexpr double kFractionKnown = 0.02;

struct UpdatedFields {
  bool cap = false;
  bool priority = false;
};

Result<UpdatedFields> updated_fields(const v1::UpdateJobRequest& request) {
  UpdatedFields out;
  if (!request.has_update_mask())
    return UpdatedFields{request.has_cap(), !request.priority().empty()};
  for (const auto& path : request.update_mask().paths()) {
    out.cap |= path == "cap";
    out.priority |= path == "priority";
    if (path != "cap" && path != "priority") {
      return fail(Code::kInvalidArgument,
                  "a job has no field \"" + path.substr(0, kPathShownMax) +
                      "\" that can be changed; these can: cap, priority",
                  "update_mask");
    }
  }
  return out;
}

std::string in_currency(const Views& views, Money money) {
  return format_money(money) + " " + views.cluster()->prices.currency;
}

bool holds_work(const JobView& job) {
  return job.state == core::JobState::kRunning || job.state == core::JobState::kStarting;
}

// What stopping it now, without another checkpoint, throws away; empty: nothing.
std::string lost(const Views& views, const JobView& job) {
  if (job.demand.transport == Transport::kElastic) {
    const auto done = job_resource(views, job).progress();
    if (done.units_done() == 0) return {};
    return fmt::format("{} of {} units are done and are lost with it.", done.units_done(),
                       done.units_total());
  }
  if (!holds_work(job)) return {};
  if (!job.checkpoint_step)
    return job.step == 0 ? std::string()
                         : fmt::format("It has no checkpoint: all {} steps are lost.", job.step);
  if (job.step <= *job.checkpoint_step) return {};
  const std::uint64_t steps = job.step - *job.checkpoint_step;
  return fmt::format("{} {} since the checkpoint at {} {} lost.", steps,
                     steps == 1 ? "step" : "steps", *job.checkpoint_step,
                     steps == 1 ? "is" : "are");
}

std::string kept(std::span<const std::uint64_t> checkpoints) {
  std::vector<std::uint64_t> steps(checkpoints.begin(), checkpoints.end());
  if (steps.empty()) return {};
  std::ranges::sort(steps);
  const auto more = steps.size() - std::min(steps.size(), kCheckpointsShown);
  const std::span<const std::uint64_t> shown(steps.data() + more, steps.size() - more);
  return fmt::format("{} at {}{} {} kept.", steps.size() == 1 ? "The checkpoint" : "Checkpoints",
                     fmt::join(shown, ", "), more > 0 ? fmt::format(" and {} more", more) : "",
                     steps.size() == 1 ? "is" : "are");
}

// Of a pause: what it can go on from.
std::string goes_on(const JobView& job) {
  if (job.demand.transport == Transport::kElastic) return "What is done stays done.";
  v1::JobSpec spec;
  const bool read = job.spec && spec.ParseFromString(*job.spec);
  if (read && spec.has_exec() && spec.exec().checkpoint_dir().empty())
    return "Its program keeps no checkpoints (checkpoint_dir): it begins anew when it is resumed.";
  if (!holds_work(job)) return {};
  return "It stops after its next whole checkpoint and goes on from there when it is resumed.";
}

std::vector<std::string> without_empty(std::vector<std::string> sentences) {
  std::erase(sentences, std::string());
  return sentences;
}

}  // namespace

Status check_acts_on(const Principal& caller, const JobView& job) {
  if (caller.role != Role::kSubmitter || job.submitter == caller.id) return Status::success();
  return error(Code::kPermissionDenied, "job " + job.name + " was submitted by somebody else", {},
               "a token with the role operator may act on it");
}

Status has_ended(const JobView& job) {
  return error(Code::kFailedPrecondition,
               "job " + job.name + " has ended: " + std::string(state_name(job.state)), {},
               "overwinter jobs get " + job.name + " shows how");
}

Status read_update(const Views& views, const v1::UpdateJobRequest& request,
                   core::JobUpdateRequested& event) {
  if (Status status = wire::refuse_unknown_fields(request); !status.ok()) return status;
  const auto fields = updated_fields(request);
  if (!fields) return fields.error();
  if (fields->cap) {
    const std::string currency = views.cluster()->prices.currency;
    if (!request.cap().currency_code().empty() && request.cap().currency_code() != currency) {
      return error(Code::kInvalidArgument, "prices of this cluster are in " + currency,
                   "cap.currency_code");
    }
    if (request.cap().amount_micros() <= 0) {
      return error(Code::kInvalidArgument, "a cap is more than nothing", "cap");
    }
    event.cap = Money{request.cap().amount_micros()};
  }
  if (fields->priority) {
    for (const Priority priority : {Priority::kLow, Priority::kNormal, Priority::kHigh}) {
      if (request.priority() == priority_name(priority)) event.priority = priority;
    }
    if (!event.priority) {
      return error(Code::kInvalidArgument, "a priority is low, normal or high", "priority");
    }
  }
  if (!event.cap && !event.priority) {
    return error(Code::kInvalidArgument, "nothing to change was given: a cap or a priority", "cap");
  }
  event.validate_only = request.validate_only();
  return Status::success();
}

std::vector<std::string> foresee(const Views& views, const JobView& job, core::JobAction action,
                                 std::span<const std::uint64_t> checkpoints) {
  const std::string charged = in_currency(views, ledger::rounded(job.charged));
  switch (action) {
    case core::JobAction::kCancel: {
      const std::string losing = lost(views, job);
      return without_empty(
          {losing.empty() ? "Nothing that is kept is lost." : losing, charged + " stay charged.",
           kept(checkpoints),
           "A cancelled job cannot be resumed; a paused one can. " + goes_on(job)});
    }
    case core::JobAction::kPause:
      return without_empty({goes_on(job), "Nothing more is charged once it has stopped; " +
                                              charged + " are so far."});
    case core::JobAction::kResume:
      break;
  }
  std::string from = "It waits for workers again.";
  if (job.checkpoint_step)
    from =
        fmt::format("It waits for workers again and goes on from step {}.", *job.checkpoint_step);
  std::string room;
  if (job.demand.cap)
    room =
        fmt::format("{} of its cap of {} are charged.", format_money(ledger::rounded(job.charged)),
                    in_currency(views, *job.demand.cap));
  return without_empty({from, room});
}

std::vector<std::string> foresee(const Views& views, const JobView& job,
                                 const core::JobUpdateRequested& change) {
  std::vector<std::string> out;
  if (change.priority) {
    out.push_back(fmt::format("Its priority becomes {}; it is {} now.",
                              priority_name(*change.priority), priority_name(job.demand.priority)));
  }
  if (!change.cap) return out;
  const std::string now =
      job.demand.cap ? "it is " + in_currency(views, *job.demand.cap) + " now" : "it has none now";
  out.push_back(fmt::format("Its cap becomes {}; {}.", in_currency(views, *change.cap), now));
  const Money charged = ledger::rounded(job.charged);
  out.push_back(fmt::format("{} of it are left.",
                            in_currency(views, Money{change.cap->micros - charged.micros})));
  const double fraction = job_resource(views, job).progress().fraction();
  if (fraction < kFractionKnown) return out;
  const Money whole{static_cast<std::int64_t>(static_cast<double>(charged.micros) / fraction)};
  out.push_back(
      whole.micros <= change.cap->micros
          ? fmt::format("At what it has cost so far the whole costs about {}: that is enough.",
                        in_currency(views, whole))
          : fmt::format("At what it has cost so far the whole costs about {}: it would pause "
                        "at about {:.0f} %.",
                        in_currency(views, whole),
                        100.0 * static_cast<double>(change.cap->micros) /
                            static_cast<double>(whole.micros)));
  return out;
}

}  // namespace overwinter::runtime
