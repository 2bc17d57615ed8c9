#include "coordinator/runtime/explain.h"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "common/wire/convert.h"
#include "coordinator/policy/gang_placement.h"
#include "coordinator/policy/placement.h"
#include "coordinator/runtime/resources.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {
namespace {

std::string_view not_ready(core::WorkerState state) {
  switch (state) {
    case core::WorkerState::kJoined:
      return "has never connected";
    case core::WorkerState::kDraining:
      return "is draining";
    case core::WorkerState::kLost:
      return "is lost";
    case core::WorkerState::kRemoved:
      return "was removed";
    case core::WorkerState::kReady:
      break;
  }
  return {};
}

void add_candidates(const WorkerView& worker, std::vector<policy::Candidate>& out) {
  for (std::size_t i = 0; i < worker.machine.devices.size(); ++i) {
    policy::Candidate candidate;
    candidate.worker = worker.id;
    candidate.index = static_cast<DeviceIndex>(i);
    candidate.worker_name = worker.name;
    candidate.not_ready = not_ready(worker.state);
    candidate.projects = &worker.projects;
    candidate.spot = worker.spot;
    policy::describe(worker.machine, static_cast<DeviceIndex>(i), candidate);
    if (i < worker.uses.size()) {
      candidate.memory_used = worker.uses[i].memory_reserved_bytes;
      candidate.threads_used = worker.uses[i].threads_reserved;
      candidate.share_used_ppm = worker.uses[i].share_ppm;
    }
    if (i < worker.device_prices.size()) candidate.price_per_hour = worker.device_prices[i];
    out.push_back(candidate);
  }
}

// Workers that gangs of other projects are on; refers to `workers`.
std::vector<policy::TakenWorker> taken_by_others(const Views& views, const JobView& job,
                                                 const std::vector<WorkerViewPtr>& workers) {
  std::set<WorkerId> ids;
  for (const auto& other : views.jobs({})) {
    if (other->demand.transport != Transport::kGang || other->project == job.project) continue;
    for (const auto& seat : other->seats) ids.insert(seat.worker);
  }
  std::vector<policy::TakenWorker> out;
  for (const auto& worker : workers) {
    if (ids.contains(worker->id))
      out.push_back({worker->id, worker->machine.network, worker->machine.shared_network});
  }
  return out;
}

void explain_waiting(const Views& views, const Principal& caller, const JobView& job,
                     v1::ExplainJobResponse& out) {
  const auto workers = views.workers();
  std::vector<policy::Candidate> candidates;
  for (const auto& worker : workers) {
    if (worker->state == core::WorkerState::kRemoved || !sees_worker(caller, *worker)) continue;
    add_candidates(*worker, candidates);
  }
  if (job.demand.transport == Transport::kGang)
    policy::mark_taken(taken_by_others(views, job, workers), candidates);
  const auto why = policy::explain({&job.demand, job.project}, candidates);
  out.set_summary(job.reason.empty() ? why.summary : job.reason);
  out.set_smallest_change(why.would_help);
  if (job.waits_for_budget && job.demand.cap) {
    out.set_summary("devices are free, and what is left of its cap of " +
                    format_money(*job.demand.cap) + " pays for none of them");
    out.set_smallest_change("a cap above " + format_money(*job.demand.cap) +
                            ", or a cheaper device that becomes free");
    out.add_commands("overwinter jobs update " + job.name + " --cap AMOUNT");
  }
  for (const auto& line : why.lines) {
    v1::RuledOut& one = *out.add_workers();
    one.set_what(line.worker + " device " + std::to_string(line.device));
    one.set_why(line.why);
  }
}

// What its plan decided of a training.
std::string training_text(const JobView& job) {
  v1::Plan plan;
  if (!job.plan || !plan.ParseFromString(*job.plan) || plan.train().precision().empty()) return {};
  return ", precision " + plan.train().precision() + ", activations " + plan.train().activations();
}

std::string running_summary(const JobView& job) {
  std::set<WorkerId> workers;
  for (const auto& seat : job.seats) workers.insert(seat.worker);
  const std::string where = "it runs on " + std::to_string(workers.size()) +
                            (workers.size() == 1 ? " worker" : " workers");
  if (job.demand.transport == Transport::kGang) {
    if (job.state == core::JobState::kStarting) return job.reason;
    return where + ", attempt " + std::to_string(job.attempt) + ", step " +
           std::to_string(job.step) + training_text(job);
  }
  return where + ": " + std::to_string(job.done.count()) + " of " +
         std::to_string(job.demand.units) + " units are done";
}

// What it left, by its kind.
std::string fetch_command(const JobView& job) {
  v1::JobSpec spec;
  if (job.spec) spec.ParseFromString(*job.spec);
  if (spec.has_train())
    return "overwinter checkpoints get " + job.name + " -o " + job.name + ".safetensors";
  if (spec.has_matmul()) return "overwinter jobs download " + job.name + " -o C.npy";
  if (spec.exec().outputs_size() > 0)
    return "overwinter jobs download " + job.name + " -o " + job.name;
  return "overwinter logs " + job.name;
}

void explain_ended(const Views& views, const JobView& job, v1::ExplainJobResponse& out) {
  out.set_summary(job.reason);
  if (job.state == core::JobState::kFailed && !job.attempts.empty())
    *out.mutable_failure() = attempt_resource(views, job.attempts.back());
  out.set_memory_peak_bytes(job.memory_peak_bytes);
  out.set_checkpoint_step(job.checkpoint_step.value_or(0));
  *out.mutable_wasted() =
      wire::to_proto(ledger::rounded(job.wasted), views.cluster()->prices.currency);
  *out.mutable_gang_wait() =
      wire::to_proto(ledger::rounded(job.gang_wait), views.cluster()->prices.currency);
  if (job.demand.transport != Transport::kGang) return;
  out.add_commands("overwinter logs " + job.name + " --tail 100");
  if (job.checkpoint_step)
    out.add_commands("overwinter checkpoints get " + job.name + "@" +
                     std::to_string(*job.checkpoint_step) + " -o " + job.name + "/");
}

void explain_paused(const JobView& job, v1::ExplainJobResponse& out) {
  out.set_summary(job.reason);
  if (job.cause == core::Cause::kBudget && job.demand.cap) {
    out.set_smallest_change("a cap above " + format_money(*job.demand.cap));
    out.add_commands("overwinter jobs update " + job.name + " --cap AMOUNT");
  }
  out.add_commands("overwinter jobs resume " + job.name);
}

// Of a job that the backup knew and that had not ended then.
void add_what_is_unknown(const Views& views, const JobView& job, v1::ExplainJobResponse& out) {
  const core::StoreGeneration generation = views.cluster()->generation;
  const Time backup = generation.backup;
  if (!generation.is_restored() || job.created > backup || (job.ended && *job.ended <= backup))
    return;
  const std::string what = "the coordinator was restored from a backup of " + format_time(backup);
  if (out.summary().find(what) != std::string::npos) return;  // its state's reason says it already
  out.set_summary(out.summary() + "; " + what + ": what the job used after it is in no bill");
}

}  // namespace

v1::ExplainJobResponse explain_job(const Views& views, const Principal& caller,
                                   const JobView& job) {
  v1::ExplainJobResponse out;
  switch (job.state) {
    case core::JobState::kQueued:
      explain_waiting(views, caller, job, out);
      out.add_commands("overwinter workers list");
      break;
    case core::JobState::kPaused:
      explain_paused(job, out);
      break;
    case core::JobState::kStarting:
    case core::JobState::kRunning:
      out.set_summary(running_summary(job));
      out.add_commands("overwinter jobs watch " + job.name);
      break;
    case core::JobState::kSucceeded:
      out.set_summary("it succeeded");
      out.add_commands(fetch_command(job));
      break;
    case core::JobState::kStopping:
    case core::JobState::kFailed:
    case core::JobState::kCancelled:
      explain_ended(views, job, out);
      break;
  }
  add_what_is_unknown(views, job, out);
  return out;
}

}  // namespace overwinter::runtime
