#include "coordinator/runtime/planner.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/log.h"
#include "common/verify/freivalds.h"
#include "coordinator/runtime/measured_memory.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::runtime {
namespace {

constexpr std::string_view kScheme = "artifact://";

bool serves(const WorkerView& worker, std::string_view project) {
  const auto& projects = worker.projects;
  return projects.empty() || std::find(projects.begin(), projects.end(), project) != projects.end();
}

std::string why_unavailable(const WorkerView& worker, std::string_view project) {
  switch (worker.state) {
    case core::WorkerState::kJoined:
      return "has never connected";
    case core::WorkerState::kDraining:
      return "drains";
    case core::WorkerState::kLost:
      return "is lost";
    case core::WorkerState::kRemoved:
      return "was removed";
    case core::WorkerState::kReady:
      break;
  }
  return serves(worker, project) ? "" : "serves other projects";
}

}  // namespace

std::string artifact_uri(const Digest& digest) {
  return std::string(kScheme) + to_hex(digest);
}

plan::ClusterOffer offer_to(const Views& views, const LinkMeter& links, const Principal& caller,
                            std::string_view project) {
  const auto cluster = views.cluster();
  plan::ClusterOffer offer;
  offer.currency_code = cluster->prices.currency;
  for (const auto& worker : views.workers()) {
    if (worker->state == core::WorkerState::kRemoved || !sees_worker(caller, *worker)) continue;
    plan::WorkerOffer one;
    one.name = worker->name;
    one.spot = worker->spot;
    one.same_host_as_coordinator = worker->machine.same_host_as_coordinator;
    one.link_bytes_per_second = links.bytes_per_second(worker->id);
    one.host_id = worker->machine.host_id;
    if (!worker->machine.peer_address.empty()) one.network = worker->machine.network;
    one.no_exec = worker->machine.no_exec;
    one.host = worker->machine.host;
    one.unavailable = why_unavailable(*worker, project);
    one.may_return = worker->state != core::WorkerState::kReady && serves(*worker, project);
    for (std::size_t i = 0; i < worker->machine.devices.size(); ++i) {
      const Money price = i < worker->device_prices.size() ? worker->device_prices[i] : Money{};
      one.devices.push_back({worker->machine.devices[i], price});
    }
    offer.workers.push_back(std::move(one));
  }
  return offer;
}

std::vector<core::Alternative> to_core(std::vector<plan::Alternative> alternatives) {
  std::vector<core::Alternative> out;
  out.reserve(alternatives.size());
  for (auto& alternative : alternatives) {
    out.push_back({std::move(alternative.demand),
                   std::make_shared<const std::string>(alternative.plan.SerializeAsString())});
  }
  return out;
}

void rule_out_large_sketches(plan::PlanOutcome& outcome, std::uint64_t bytes_max) {
  std::uint64_t least = 0;
  std::erase_if(outcome.alternatives, [&](const plan::Alternative& alternative) {
    const auto geometry = alternative.plan.has_matmul()
                              ? plan::geometry_of(alternative.plan.matmul())
                              : Result<plan::MatmulGeometry>(fail(Status{}));
    if (!geometry) return false;
    const std::uint64_t bytes = verify::SketchBuilder::memory_bytes(*geometry);
    if (bytes <= bytes_max) return false;
    least = least == 0 ? bytes : std::min(least, bytes);
    v1::RuledOut& out = outcome.ruled_out.emplace_back();
    out.set_what("tiles of " + std::to_string(geometry->tile_rows) + " x " +
                 std::to_string(geometry->tile_columns));
    out.set_why("checking them needs " + format_bytes(bytes) + " of the coordinator's memory; " +
                format_bytes(bytes_max) + " is the most for one job");
    return true;
  });
  if (!outcome.alternatives.empty() || least == 0) return;
  outcome.reason = "checking this product needs " + format_bytes(least) +
                   " of the coordinator's memory, and " + format_bytes(bytes_max) +
                   " is the most for one job: split it, for example by columns of b";
}

Planner::Planner(const Views& views, const LinkMeter& links, const artifacts::BlobStore& blobs,
                 const artifacts::ResultStore& results, store::History& history, BlockingPool& pool,
                 EventQueue& queue)
    : views_(views),
      links_(links),
      blobs_(blobs),
      train_inputs_(blobs),
      results_(results),
      history_(history),
      pool_(pool),
      queue_(queue) {}

Result<plan::Factor> Planner::factor(const v1::JobSpec& spec, const std::string& key,
                                     const std::string& uri, const NotStored& not_stored) const {
  const auto& shapes = not_stored.shapes;
  if (const auto it = shapes.find(key); it != shapes.end()) return it->second;
  const std::string field = "workload.matmul." + key;
  const auto digest = parse_artifact_uri(uri, field);
  if (!digest) return fail(digest.error());
  auto header = blobs_.describe({spec.project(), *digest});
  if (!header) {
    Status status = header.error();
    status.field = field;
    if (status.code == Code::kNotFound) {
      status.message = "project " + spec.project() + " has no stored matrix " + uri;
      status.hint = "upload it first; the overwinter command does";
    }
    return fail(std::move(status));
  }
  return plan::Factor{header->rows, header->columns,
                      std::string(formats::dtype_descriptor(header->dtype)), header->fortran_order,
                      to_hex(*digest)};
}

Result<plan::PlanOutcome> Planner::plan(const Principal& caller, const v1::JobSpec& spec,
                                        const NotStored& not_stored) const {
  const plan::ClusterOffer offer = offer_to(views_, links_, caller, spec.project());
  if (spec.has_train()) {
    if (not_stored.training) return plan::plan_job(spec, {.train = &*not_stored.training}, offer);
    const auto problem = train_inputs_.read(spec);
    if (!problem) return fail(problem.error());
    return plan::plan_job(spec, {.train = &*problem}, offer);
  }
  if (spec.has_exec() && !spec.exec().workdir().empty()) {
    const auto workdir =
        open_input(blobs_, spec.project(), spec.exec().workdir(), "workload.exec.workdir");
    if (!workdir) return fail(workdir.error());
  }
  if (spec.has_exec())
    return plan::plan_job(spec, {.exec_peak_bytes = measured_peak(history_, spec)}, offer);
  if (!spec.has_matmul()) return plan::plan_job(spec, {}, offer);
  const auto a = factor(spec, "a", spec.matmul().a(), not_stored);
  if (!a) return fail(a.error());
  const auto b = factor(spec, "b", spec.matmul().b(), not_stored);
  if (!b) return fail(b.error());
  const auto problem = plan::matmul_problem(*a, *b, spec.matmul().precision());
  if (!problem) return fail(problem.error());
  auto outcome = plan::plan_job(spec, {.matmul = &*problem}, offer);
  if (!outcome) return outcome;
  rule_out_large_sketches(*outcome);
  const std::uint64_t result_bytes =
      problem->m * problem->n * plan::result_bytes(problem->precision);
  if (Status status = results_.room_for(result_bytes); !status.ok()) {
    return fail(std::move(status));
  }
  return outcome;
}

void Planner::replan(JobId job) {
  const Status taken = pool_.run(Work::kPlan, [this, job] {
    const auto view = views_.job(job);
    if (!view || !view->spec) return;
    v1::JobSpec spec;
    if (!spec.ParseFromString(*view->spec)) return;
    auto outcome = plan(Principal{}, spec, {});
    if (!outcome) {
      log_warning("job {} could not be planned again: {}", view->name, outcome.error().message);
      return;
    }
    if (outcome->alternatives.empty()) return;  // it waits with the plan it has
    queue_.post_vital(core::JobReplanned{job, to_core(std::move(outcome->alternatives))});
  });
  // A full pool: the core asks again when the workers change.
  if (!taken.ok()) log_debug("a job was not planned again: {}", taken.message);
}

}  // namespace overwinter::runtime
