#include "coordinator/runtime/resources.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/plan/matmul_geometry.h"
#include "common/wire/convert.h"
#include "coordinator/runtime/job_filter.h"

namespace overwinter::runtime {
namespace {

constexpr std::string_view kProjects = "projects/";
constexpr std::string_view kJobs = "/jobs/";
constexpr std::string_view kWorkers = "workers/";

std::string worker_name(const Views& views, WorkerId id) {
  const auto worker = views.worker(id);
  return worker ? worker->name : std::to_string(id.value());
}

// What a gang counts in: steps of training.
void set_steps(const JobView& job, const v1::JobSpec& spec, v1::Progress& out) {
  const std::uint64_t checkpoint = job.checkpoint_step.value_or(0);
  out.set_checkpoint_step(checkpoint);
  const std::uint64_t total = spec.train().steps();
  out.set_steps_total(total);
  std::uint64_t step = std::max(job.step, checkpoint);
  // How far it came stays known when nobody tells it any more.
  if (core::is_terminal(job.state) && !job.attempts.empty())
    step = std::max({step, job.attempts.back().step, job.attempts.back().exit.step});
  out.set_step(job.state == core::JobState::kSucceeded && total > 0 ? total : step);
}

void set_progress(const JobView& job, const v1::JobSpec& spec, const v1::Plan& plan,
                  v1::Progress& out) {
  const std::uint64_t done = job.done.count();
  const std::uint64_t total = job.demand.units;
  out.set_units_done(done);
  out.set_units_total(total);
  const bool succeeded = job.state == core::JobState::kSucceeded;
  double fraction =
      total > 0 ? static_cast<double>(done) / static_cast<double>(total) : (succeeded ? 1.0 : 0.0);
  if (job.demand.transport == Transport::kGang) {
    set_steps(job, spec, out);
    if (!succeeded && out.steps_total() > 0) {
      fraction = static_cast<double>(out.step()) / static_cast<double>(out.steps_total());
    }
  }
  out.set_fraction(fraction);
  if (job.progressed) *out.mutable_update_time() = wire::to_proto(*job.progressed);
  if (job.progress_every) *out.mutable_update_interval() = wire::to_proto(*job.progress_every);
  const double seconds = static_cast<double>(job.running.count()) / 1000.0;
  if (plan.has_matmul() && seconds > 0) {
    if (const auto geometry = plan::geometry_of(plan.matmul())) {
      out.set_gflops(geometry->flops() * fraction / seconds / 1e9);
    }
  }
  if (fraction > 0 && fraction < 1 && job.state == core::JobState::kRunning) {
    const double left_ms = static_cast<double>(job.running.count()) * (1 - fraction) / fraction;
    *out.mutable_left() = wire::to_proto(Duration(static_cast<std::int64_t>(left_ms)));
  }
}

// Of the last hour, or of the time since it joined.
double busy_fraction(const WorkerView& worker, Time now) {
  const Time from = std::max(worker.joined, now - core::kBusyKept);
  if (now <= from) return 0;
  Duration busy{0};
  const auto add = [&](Time begin, Time end) {
    busy += std::max(Duration(0), end - std::max(begin, from));
  };
  for (const core::BusySpan& span : worker.busy) add(span.from, span.until);
  if (worker.busy_since) add(*worker.busy_since, now);
  return std::min(1.0,
                  static_cast<double>(busy.count()) / static_cast<double>((now - from).count()));
}

}  // namespace

std::string job_resource_name(const JobView& job) {
  return std::string(kProjects) + job.project + std::string(kJobs) + job.name;
}

Result<JobName> parse_job_name(std::string_view name) {
  if (name.starts_with(kProjects)) {
    const auto rest = name.substr(kProjects.size());
    const auto middle = rest.find(kJobs);
    if (middle != std::string_view::npos && middle > 0) {
      const auto job = rest.substr(middle + kJobs.size());
      if (!job.empty() && job.find('/') == std::string_view::npos) {
        return JobName{std::string(rest.substr(0, middle)), std::string(job)};
      }
    }
  }
  return fail(Code::kInvalidArgument, "a job is named projects/PROJECT/jobs/JOB", "name");
}

Result<std::string> parse_parent(std::string_view parent) {
  if (parent.starts_with(kProjects)) {
    const auto project = parent.substr(kProjects.size());
    if (project == "-") return std::string();
    if (!project.empty() && project.find('/') == std::string_view::npos) {
      return std::string(project);
    }
  }
  return fail(Code::kInvalidArgument,
              "the parent is projects/PROJECT, or projects/- for every project that you see",
              "parent");
}

bool sees_worker(const Principal& caller, const WorkerView& worker) {
  return worker.projects.empty() ||
         std::any_of(worker.projects.begin(), worker.projects.end(),
                     [&](const auto& project) { return sees_project(caller, project); });
}

Result<WorkerViewPtr> find_worker(const Views& views, const Principal& caller,
                                  std::string_view name) {
  if (name.starts_with(kWorkers)) name.remove_prefix(kWorkers.size());
  if (name.empty() || name.find('/') != std::string_view::npos) {
    return fail(Code::kInvalidArgument, "a worker is named workers/WORKER", "name");
  }
  for (const auto& worker : views.workers()) {
    if (worker->name == name && sees_worker(caller, *worker)) return worker;
  }
  return fail(Code::kNotFound, "there is no worker " + std::string(name), "name",
              "overwinter workers list shows them");
}

v1::Attempt attempt_resource(const Views& views, const core::EndedAttempt& attempt) {
  v1::Attempt out;
  out.set_number(attempt.attempt);
  out.set_reason(attempt.reason);
  if (attempt.worker.valid()) out.set_worker(worker_name(views, attempt.worker));
  if (attempt.exit.rank) out.set_rank(*attempt.exit.rank);
  out.set_exit_code(attempt.exit.exit_code);
  out.set_signal(attempt.exit.signal);
  out.set_step(std::max(attempt.step, attempt.exit.step));
  out.set_goes_on_from_step(attempt.from_step);
  *out.mutable_end_time() = wire::to_proto(attempt.at);
  return out;
}

v1::Job job_resource(const Views& views, const JobView& job) {
  const auto cluster = views.cluster();
  const std::string& currency = cluster->prices.currency;
  v1::Job out;
  out.set_name(job_resource_name(job));
  out.set_display_name(job.display_name);
  out.set_state(static_cast<v1::Job::State>(job.state));
  out.set_state_reason(job.waits_for_budget
                           ? "waits for a device that what is left of its cap pays for"
                       : job.reason.empty() && job.state == core::JobState::kQueued
                           ? "waits for a device; overwinter jobs explain says for which"
                           : job.reason);
  for (const auto& [key, value] : job.labels) (*out.mutable_labels())[key] = value;
  if (job.spec) out.mutable_spec()->ParseFromString(*job.spec);
  if (job.plan) out.mutable_plan()->ParseFromString(*job.plan);
  v1::Cost& cost = *out.mutable_cost();
  *cost.mutable_charged() = wire::to_proto(ledger::rounded(job.charged), currency);
  *cost.mutable_reserved() = wire::to_proto(ledger::rounded(job.reserved), currency);
  if (job.demand.cap) *cost.mutable_cap() = wire::to_proto(*job.demand.cap, currency);
  *cost.mutable_wasted() = wire::to_proto(ledger::rounded(job.wasted), currency);
  *cost.mutable_gang_wait() = wire::to_proto(ledger::rounded(job.gang_wait), currency);
  for (const core::EndedAttempt& attempt : job.attempts)
    *out.add_attempts() = attempt_resource(views, attempt);
  out.set_memory_peak_bytes(job.memory_peak_bytes);
  v1::Progress& progress = *out.mutable_progress();
  set_progress(job, out.spec(), out.plan(), progress);
  const JobMetrics metrics = views.metrics(job);
  if (metrics.loss) progress.set_loss(*metrics.loss);
  if (metrics.validation_loss) progress.set_validation_loss(*metrics.validation_loss);
  progress.set_tokens_per_second(metrics.tokens_per_second);
  progress.set_samples_per_second(metrics.samples_per_second);
  out.set_attempt(job.attempt);
  *out.mutable_create_time() = wire::to_proto(job.created);
  if (job.started) *out.mutable_start_time() = wire::to_proto(*job.started);
  if (job.ended) *out.mutable_end_time() = wire::to_proto(*job.ended);
  if (const auto token = views.token(TokenId(job.submitter))) out.set_submitter(token->name);
  out.set_priority(std::string(priority_name(job.demand.priority)));
  std::set<WorkerId> workers;
  for (const SeatView& seat : job.seats) {
    v1::Seat& one = *out.add_seats();
    one.set_worker(worker_name(views, seat.worker));
    one.set_device(seat.device);
    one.set_attempt(seat.seat.attempt);
    one.set_number(seat.seat.number);
    one.set_memory_bytes(seat.memory_bytes);
    one.set_memory_peak_bytes(seat.memory_peak_bytes);
    one.set_memory_used_bytes(seat.memory_used_bytes);
    one.set_threads(seat.threads);
    *one.mutable_used() = wire::to_proto(seat.used);
    *one.mutable_funded() = wire::to_proto(seat.funded);
    workers.insert(seat.worker);
  }
  out.set_worker_count(static_cast<std::uint32_t>(workers.size()));
  out.set_resumes_by_itself(job.resumes_by_itself);
  return out;
}

v1::Worker worker_resource(const Views& views, const Principal& caller, const WorkerView& worker,
                           Time now) {
  v1::Worker out;
  out.set_name(std::string(kWorkers) + worker.name);
  out.set_id(worker.id.value());
  out.set_state(static_cast<v1::Worker::State>(worker.state));
  out.set_state_reason(worker.reason);
  out.set_host_id(worker.machine.host_id);
  out.set_host_name(worker.machine.host_name);
  out.set_version(worker.machine.version);
  out.set_peer_address(worker.machine.peer_address);
  out.set_network(worker.machine.network);
  out.set_no_exec(worker.machine.no_exec);
  out.set_memory_limit(worker.machine.memory_limit);
  out.set_host_memory_bytes(worker.machine.host.memory_bytes);
  out.set_host_cpus(worker.machine.host.cpus);
  for (const DeviceInfo& device : worker.machine.devices) {
    *out.add_devices() = wire::to_proto(device);
  }
  for (const DeviceUseView& use : worker.uses) {
    v1::DeviceUse& one = *out.add_uses();
    one.set_memory_reserved_bytes(use.memory_reserved_bytes);
    one.set_threads_reserved(use.threads_reserved);
    one.set_seats(use.seats);
    one.set_memory_used_bytes(use.memory_used_bytes);
  }
  for (const auto& [key, value] : worker.labels) (*out.mutable_labels())[key] = value;
  for (const auto& project : worker.projects) {
    if (sees_project(caller, project)) out.add_projects(project);
  }
  out.set_spot(worker.spot);
  *out.mutable_price_per_hour() =
      wire::to_proto(worker.price_per_hour, views.cluster()->prices.currency);
  *out.mutable_join_time() = wire::to_proto(worker.joined);
  *out.mutable_silent() = wire::to_proto(std::max(Duration(0), now - worker.last_seen));
  out.set_incarnation(worker.incarnation.value());
  out.set_busy_fraction(busy_fraction(worker, now));
  out.set_losses(static_cast<std::uint32_t>(std::ranges::count_if(
      worker.lost_at, [now](Time at) { return at > now - core::kLossesKept; })));
  std::uint32_t on_host = 0;
  for (const auto& other : views.workers()) {
    const bool there = other->state != core::WorkerState::kRemoved;
    if (!there || !sees_worker(caller, *other)) continue;
    if (other->machine.host_id == worker.machine.host_id) ++on_host;
  }
  out.set_workers_on_host(worker.machine.host_id.empty() ? 1 : on_host);
  return out;
}

v1::Token token_resource(const TokenView& token) {
  v1::Token out;
  out.set_id(token.id.value());
  out.set_role(std::string(role_name(token.role)));
  out.set_project(token.project);
  out.set_name(token.name);
  *out.mutable_create_time() = wire::to_proto(token.created);
  if (token.expires) *out.mutable_expire_time() = wire::to_proto(*token.expires);
  out.set_revoked(token.revoked);
  return out;
}

v1::Token join_file_resource(const JoinFileView& file) {
  v1::Token out;
  out.set_id(file.id.value());
  out.set_role("worker");
  if (file.projects.size() == 1) out.set_project(file.projects.front());
  out.set_name(file.name);
  *out.mutable_create_time() = wire::to_proto(file.created);
  *out.mutable_expire_time() = wire::to_proto(file.expires);
  out.set_revoked(file.revoked);
  out.set_uses_left(file.uses_left);
  return out;
}

v1::PriceBook price_book_resource(const ClusterView& cluster) {
  v1::PriceBook out;
  out.set_currency_code(cluster.prices.currency);
  for (const auto& entry : cluster.prices.entries) {
    auto& one = *out.add_entries();
    *one.mutable_from() = wire::to_proto(entry.from);
    one.set_device(entry.device);
    one.set_supplier(entry.supplier);
    one.set_spot(entry.spot);
    *one.mutable_per_hour() = wire::to_proto(entry.per_hour, cluster.prices.currency);
    if (entry.minimum.count() > 0) one.set_minimum(std::to_string(entry.minimum.count()) + "ms");
  }
  out.set_yaml(cluster.prices_source);
  return out;
}

}  // namespace overwinter::runtime
