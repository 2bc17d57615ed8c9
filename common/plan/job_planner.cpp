#include "common/plan/job_planner.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "common/base/bytes.h"
#include "common/plan/candidates.h"
#include "common/plan/comm_volume.h"
#include "common/plan/memory_estimate.h"
#include "common/plan/tile_choice.h"

namespace overwinter::plan {
namespace {

constexpr std::size_t kAlternativesMax = 8;
constexpr std::size_t kMemoryLevelsMax = 8;
// Seats of one job when `workers` names no maximum.
constexpr std::uint32_t kSeatsMax = 1024;
constexpr std::uint64_t kMemoryWhenUnknown = 512 * kMiB;
constexpr std::uint32_t kThreadsWhenUnknown = 16;
constexpr std::uint64_t kNoopMemory = 1 * kMiB;
constexpr Duration kStopTime{1000};

// What a specification says beside its workload.
struct Limits {
  std::uint32_t seats_min = 1;
  std::uint32_t seats_max = 0;  // 0: all that fit
  std::string device = "any";
  std::uint64_t memory_bytes = 0;  // 0: as predicted
  std::optional<Money> cap;
  std::optional<Duration> deadline;
  std::optional<Duration> time_limit;
  Priority priority = Priority::kNormal;
  SpotUse spot = SpotUse::kAllowed;
};

Duration duration_of(const google::protobuf::Duration& d) {
  return Duration(d.seconds() * 1000 + d.nanos() / 1'000'000);
}

Result<Limits> limits_of(const v1::JobSpec& spec) {
  const std::string& transport = spec.transport();
  if (!transport.empty() && transport != "auto" && transport != "elastic")
    return fail(Code::kInvalidArgument,
                "Transport \"" + transport + "\" is not of this release, which runs elastic jobs.",
                "transport", "Use transport: auto.");
  Limits limits;
  limits.seats_min = std::max<std::uint32_t>(spec.workers().min(), 1);
  limits.seats_max = spec.workers().max();
  if (!spec.workers().device().empty()) limits.device = spec.workers().device();
  limits.memory_bytes = spec.memory_per_device_bytes();
  if (spec.budget().has_cap()) limits.cap = Money{spec.budget().cap().amount_micros()};
  if (spec.budget().has_deadline()) limits.deadline = duration_of(spec.budget().deadline());
  if (spec.has_time_limit()) limits.time_limit = duration_of(spec.time_limit());
  if (spec.priority() == "low") limits.priority = Priority::kLow;
  if (spec.priority() == "high") limits.priority = Priority::kHigh;
  if (spec.spot() == "never") limits.spot = SpotUse::kNever;
  if (spec.spot() == "only") limits.spot = SpotUse::kOnly;
  return limits;
}

std::uint32_t seats_for(const Limits& limits, std::uint64_t units) {
  const std::uint64_t most = limits.seats_max == 0 ? kSeatsMax : limits.seats_max;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(units, limits.seats_min, std::max<std::uint64_t>(most, 1)));
}

std::string seconds_text(double seconds) {
  return format_duration(Duration(std::llround(seconds * 1000)));
}

Demand base_demand(const Limits& limits) {
  Demand demand;
  demand.transport = Transport::kElastic;
  demand.device_kind = limits.device;
  demand.stop_time = kStopTime;
  demand.cap = limits.cap;
  demand.time_limit = limits.time_limit;
  demand.priority = limits.priority;
  demand.spot = limits.spot;
  demand.seats_min = limits.seats_min;
  return demand;
}

// The prediction into both forms, and what it says about cap, deadline and workers.
void set_prediction(const Limits& limits, double seconds, double price_per_hour, std::size_t known,
                    const std::string& currency, Alternative& out) {
  Demand& demand = out.demand;
  const double milliseconds = std::min(seconds * 1000, 9e15);
  demand.predicted_duration = Duration(std::llround(milliseconds));
  const double micros = std::min(price_per_hour * seconds / 3600, 9e18);
  demand.predicted_cost = Money{std::llround(micros)};
  demand.predicted_memory_bytes = out.plan.memory_bytes();
  v1::Plan& plan = out.plan;
  plan.set_transport("elastic");
  plan.set_workers_min(demand.seats_min);
  plan.set_workers_max(demand.seats_max);
  plan.set_device(limits.device);
  plan.mutable_duration()->set_seconds(demand.predicted_duration.count() / 1000);
  plan.mutable_duration()->set_nanos(
      static_cast<std::int32_t>(demand.predicted_duration.count() % 1000) * 1'000'000);
  plan.mutable_cost()->set_amount_micros(demand.predicted_cost.micros);
  plan.mutable_cost()->set_currency_code(currency);
  if (known < limits.seats_min)
    plan.add_warnings("The job waits until " + std::to_string(limits.seats_min) +
                      " devices that fit are there; " + std::to_string(known) + " are known.");
  if (limits.cap && demand.predicted_cost > *limits.cap)
    plan.add_warnings("The predicted cost of " + format_money(demand.predicted_cost) +
                      " is above the cap of " + format_money(*limits.cap) +
                      ": the job will pause before it passes the cap.");
  if (limits.deadline && demand.predicted_duration > *limits.deadline)
    plan.add_warnings("The predicted " + format_duration(demand.predicted_duration) +
                      " are longer than the deadline of " + format_duration(*limits.deadline) +
                      ".");
}

class MatmulPlanner {
 public:
  MatmulPlanner(const v1::JobSpec& spec, const MatmulProblem& problem, const ClusterOffer& offer,
                Limits limits)
      : spec_(spec), problem_(problem), offer_(offer), limits_(std::move(limits)) {}

  PlanOutcome run() {
    found_ = find_candidates(
        offer_, {.device = limits_.device, .spot = limits_.spot, .precision = problem_.precision});
    outcome_.ruled_out = found_.ruled_out;
    const bool waits = found_.devices.empty();
    if (waits && found_.away.empty()) {
      plan_for_unknown();
      return std::move(outcome_);
    }
    if (waits) found_.devices = found_.away;
    for (std::uint64_t level : memory_levels()) plan_level(level);
    if (outcome_.alternatives.empty()) {
      explain_no_fit();
      return std::move(outcome_);
    }
    rank();
    if (waits) {
      for (Alternative& alternative : outcome_.alternatives)
        alternative.plan.add_warnings(
            "No worker can take it now: it waits until one of those that suit it is back.");
      return std::move(outcome_);
    }
    rule_out_small_devices();
    return std::move(outcome_);
  }

 private:
  [[nodiscard]] std::vector<std::uint64_t> memory_levels() const {
    if (limits_.memory_bytes != 0) return {limits_.memory_bytes};
    std::vector<std::uint64_t> levels;
    levels.reserve(found_.devices.size());
    for (const Candidate& device : found_.devices) levels.push_back(device.memory_bytes);
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    if (levels.size() <= kMemoryLevelsMax) return levels;
    std::vector<std::uint64_t> spread;
    for (std::size_t i = 0; i < kMemoryLevelsMax; ++i)
      spread.push_back(levels[i * (levels.size() - 1) / (kMemoryLevelsMax - 1)]);
    return spread;
  }

  // Plans for a seat of `level` bytes, on the devices that have them, with all, half and one of
  // them.
  void plan_level(std::uint64_t level) {
    std::vector<Candidate> devices;
    for (const Candidate& device : found_.devices)
      if (device.memory_bytes >= level) devices.push_back(device);
    if (devices.empty()) return;
    const std::size_t most = limits_.seats_max == 0
                                 ? devices.size()
                                 : std::min<std::size_t>(devices.size(), limits_.seats_max);
    for (std::size_t count : {most, most / 2, std::size_t{1}}) {
      count = std::max<std::size_t>(count, std::min<std::size_t>(limits_.seats_min, most));
      SeatModel seats = seat_model(devices, count);
      seats.threads = most_threads();
      const auto geometry =
          choose_tiles(problem_.m, problem_.k, problem_.n, problem_.precision, level, seats);
      if (!geometry) return;
      double price = 0;
      for (std::size_t i = 0; i < count; ++i)
        price += static_cast<double>(devices[i].price_per_hour.micros);
      add(*geometry, level, seats, price, devices.size(), count == most);
    }
  }

  // A seat may be placed on any device that has its memory: the library's workspace must fit there
  // too.
  [[nodiscard]] std::uint32_t most_threads() const {
    std::uint32_t threads = 1;
    for (const Candidate& device : found_.devices) threads = std::max(threads, device.threads);
    return threads;
  }

  // No device of the wanted kind is there: the job may come before its workers.
  void plan_for_unknown() {
    const std::uint64_t level =
        limits_.memory_bytes != 0 ? limits_.memory_bytes : kMemoryWhenUnknown;
    SeatModel seats;
    seats.threads = kThreadsWhenUnknown;
    seats.seats = std::max<std::uint32_t>(limits_.seats_min, 1);
    seats.flops_per_second *= seats.seats;
    seats.bytes_per_second *= seats.seats;
    const auto geometry =
        choose_tiles(problem_.m, problem_.k, problem_.n, problem_.precision, level, seats);
    if (!geometry) {
      explain_no_fit();
      return;
    }
    add(*geometry, level, seats, 0, limits_.seats_min, true);
    v1::Plan& plan = outcome_.alternatives.back().plan;
    plan.add_warnings(
        "No worker with a device of kind " + limits_.device +
        " is known and free for this job: it will wait, and is planned for devices of " +
        format_bytes(level) + "; time is a guess, and cost is not known.");
  }

  void add(const MatmulGeometry& geometry, std::uint64_t level, const SeatModel& seats,
           double price_per_hour, std::size_t known, bool open_ended) {
    for (const Alternative& other : outcome_.alternatives) {
      const auto other_geometry = geometry_of(other.plan.matmul());
      if (other_geometry && *other_geometry == geometry &&
          (open_ended || other.demand.seats_max == seats.seats))
        return;  // the same on smaller devices is already there
    }
    Alternative out;
    const std::uint64_t needed = matmul_memory(geometry, seats.threads).total_bytes();
    const std::uint64_t units = geometry.grid().units();
    out.demand = base_demand(limits_);
    out.demand.seats_max = open_ended ? seats_for(limits_, units) : seats.seats;
    out.demand.memory_bytes = limits_.memory_bytes != 0
                                  ? limits_.memory_bytes
                                  : std::min(level, (needed + kMiB - 1) / kMiB * kMiB);
    out.demand.threads = 0;  // all threads of its device
    out.demand.units = units;
    out.demand.units_per_range_max = std::max<std::uint64_t>(1, geometry.group_rows);
    out.demand.landing = Landing::kArtifact;
    out.plan.set_memory_bytes(needed);
    const CommVolume volume = matmul_comm_volume(geometry, seats.seats);
    out.plan.set_bytes_to_workers(static_cast<std::uint64_t>(volume.bytes_to_workers));
    out.plan.set_bytes_from_workers(static_cast<std::uint64_t>(volume.bytes_from_workers));
    fill_matmul(geometry, *out.plan.mutable_matmul());
    const TimeModel time = predict_time(geometry, seats);
    set_prediction(limits_, time.total_seconds(), price_per_hour, known, offer_.currency_code, out);
    out.plan.set_why(why(geometry, seats, time));
    outcome_.alternatives.push_back(std::move(out));
  }

  void fill_matmul(const MatmulGeometry& geometry, v1::MatmulPlan& plan) const {
    set_geometry(geometry, plan);
    plan.set_a_digest(problem_.a_digest);
    plan.set_b_digest(problem_.b_digest);
    plan.set_a_fortran_order(problem_.a_fortran_order);
    plan.set_b_fortran_order(problem_.b_fortran_order);
    plan.set_algorithm("classical");
  }

  [[nodiscard]] std::string why(const MatmulGeometry& g, const SeatModel& seats,
                                const TimeModel& time) const {
    const TileGrid grid = g.grid();
    std::string text = spec_.transport() == "elastic" ? "Elastic, as asked: "
                                                      : "Elastic, the transport of this release: ";
    if (grid.units() == 0) return text + "the product has no elements.";
    text += std::to_string(grid.grid_rows()) + " x " + std::to_string(grid.grid_columns()) +
            " tiles of " + std::to_string(g.rows()) + " x " + std::to_string(g.columns());
    text += g.whole_panels()
                ? " with whole panels"
                : " with panels streamed in depths of " + std::to_string(g.panel_depth);
    text +=
        " over " + std::to_string(seats.seats) + (seats.seats == 1 ? " device, " : " devices, ");
    text += "predicted to compute for " + seconds_text(time.compute_seconds) +
            " and to move data for " + seconds_text(time.transfer_seconds) + ".";
    return text;
  }

  void rank() {
    std::vector<Alternative>& all = outcome_.alternatives;
    const auto key = [this](const Alternative& a) {
      const bool late = limits_.deadline && a.demand.predicted_duration > *limits_.deadline;
      const std::int64_t time = a.demand.predicted_duration.count();
      const std::int64_t cost = a.demand.predicted_cost.micros;
      // On time: the cheapest. Late, or no deadline: the fastest.
      const bool by_cost = limits_.deadline && !late;
      return std::tuple(late, by_cost ? cost : time, by_cost ? time : cost);
    };
    std::stable_sort(all.begin(), all.end(),
                     [&](const Alternative& a, const Alternative& b) { return key(a) < key(b); });
    if (all.size() > kAlternativesMax) all.resize(kAlternativesMax);
  }

  // Devices that the best alternative leaves out.
  void rule_out_small_devices() {
    const std::uint64_t needed = outcome_.alternatives.front().demand.memory_bytes;
    for (const Candidate& device : found_.devices) {
      if (device.memory_bytes >= needed) continue;
      rule_out(device.name, "has " + format_bytes(device.memory_bytes) + ", a seat needs " +
                                format_bytes(needed));
    }
  }

  void rule_out(std::string what, std::string why_not) {
    v1::RuledOut& entry = outcome_.ruled_out.emplace_back();
    entry.set_what(std::move(what));
    entry.set_why(std::move(why_not));
  }

  void explain_no_fit() {
    std::uint64_t largest = 0;
    for (const Candidate& device : found_.devices) largest = std::max(largest, device.memory_bytes);
    const std::uint64_t least =
        least_memory_bytes(problem_.m, problem_.k, problem_.n, problem_.precision, most_threads());
    const std::uint64_t asked = limits_.memory_bytes;
    for (const Candidate& device : found_.devices)
      if (const std::uint64_t needed = std::max(asked, least); device.memory_bytes < needed)
        rule_out(device.name, "has " + format_bytes(device.memory_bytes) + ", a seat needs " +
                                  format_bytes(needed));
    std::string text = "The product of " + std::to_string(problem_.m) + " x " +
                       std::to_string(problem_.k) + " and " + std::to_string(problem_.k) + " x " +
                       std::to_string(problem_.n) + " (" +
                       std::string(precision_name(problem_.precision)) + ") needs at least " +
                       format_bytes(least) + " on a device";
    if (asked != 0 && asked < least)
      text += ", and memory_per_device is " + format_bytes(asked) + "; set it to auto or to " +
              format_bytes(least) + " or more.";
    else if (asked != 0 && asked > largest)
      text += "; memory_per_device asks for " + format_bytes(asked) +
              ", and the largest device known has " + format_bytes(largest) +
              "; set it to auto or to " + format_bytes(largest) + " or less.";
    else
      text += ", and the largest device known has " + format_bytes(largest) +
              "; a worker with --device cpu:memory=" + std::to_string((least + kMiB - 1) / kMiB) +
              "MiB or more would fit.";
    outcome_.reason = std::move(text);
  }

  const v1::JobSpec& spec_;
  const MatmulProblem& problem_;
  const ClusterOffer& offer_;
  Limits limits_;
  Candidates found_;
  PlanOutcome outcome_;
};

PlanOutcome plan_noop(const v1::NoopSpec& noop, const ClusterOffer& offer, const Limits& limits) {
  PlanOutcome outcome;
  Candidates found = find_candidates(offer, {.device = limits.device, .spot = limits.spot});
  outcome.ruled_out = std::move(found.ruled_out);
  Alternative out;
  out.demand = base_demand(limits);
  out.demand.seats_max = seats_for(limits, noop.units());
  out.demand.memory_bytes = limits.memory_bytes != 0 ? limits.memory_bytes : kNoopMemory;
  out.demand.threads = 1;
  out.demand.units = noop.units();
  out.demand.units_per_range_max = std::max<std::uint64_t>(1, noop.units_per_range_max());
  out.demand.landing = Landing::kReport;
  *out.plan.mutable_noop() = noop;
  out.plan.set_memory_bytes(kNoopMemory);
  set_prediction(limits, 0, 0, found.devices.size(), offer.currency_code, out);
  out.plan.set_why("Units that do nothing, for tests.");
  outcome.alternatives.push_back(std::move(out));
  return outcome;
}

}  // namespace

Result<PlanOutcome> plan_job(const v1::JobSpec& spec, const MatmulProblem* problem,
                             const ClusterOffer& offer) {
  auto limits = limits_of(spec);
  if (!limits) return fail(limits.error());
  switch (spec.workload_case()) {
    case v1::JobSpec::kMatmul:
      if (problem == nullptr)
        return fail(Code::kInvalidArgument, "The shapes of A and B are not known.",
                    "workload.matmul.a");
      return MatmulPlanner(spec, *problem, offer, *limits).run();
    case v1::JobSpec::kNoop:
      return plan_noop(spec.noop(), offer, *limits);
    case v1::JobSpec::kTrain:
    case v1::JobSpec::kExec:
      // common/spec refuses them before; release.h says when no longer.
      return fail(Code::kUnimplemented, "This release runs no such workload.", "workload");
    case v1::JobSpec::WORKLOAD_NOT_SET:
      break;
  }
  return fail(Code::kInvalidArgument, "The job has no workload.", "workload");
}

}  // namespace overwinter::plan
