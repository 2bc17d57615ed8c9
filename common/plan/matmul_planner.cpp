#include "common/plan/matmul_planner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "common/base/bytes.h"
#include "common/plan/candidates.h"
#include "common/plan/comm_volume.h"
#include "common/plan/memory_estimate.h"
#include "common/plan/strassen_plan.h"
#include "common/plan/tile_choice.h"

namespace overwinter::plan {
namespace {

constexpr std::size_t kMemoryLevelsMax = 8;
constexpr std::uint64_t kProductMemoryWhenUnknown = 512 * kMiB;
constexpr std::uint32_t kProductThreadsWhenUnknown = 16;
// From which side on products are halved where a job asks for it and nothing was measured.
constexpr std::uint64_t kStrassenSideWhenUnknown = 1024;

std::string bound_text(double bound) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), bound,
                                 std::chars_format::scientific, 1);
  return {text.data(), end.ptr};
}

class MatmulPlanner {
 public:
  MatmulPlanner(const v1::JobSpec& spec, const MatmulProblem& problem, const ClusterOffer& offer,
                const Limits& limits)
      : spec_(spec), problem_(problem), offer_(offer), limits_(limits) {}

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
    rank_alternatives(limits_, outcome_.alternatives);
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
    const std::size_t most = limits_.workers_max == 0
                                 ? devices.size()
                                 : std::min<std::size_t>(devices.size(), limits_.workers_max);
    for (std::size_t count : {most, most / 2, std::size_t{1}}) {
      count = std::max<std::size_t>(count, std::min<std::size_t>(limits_.workers_min, most));
      SeatModel seats = seat_model(devices, count);
      seats.threads = most_threads();
      const auto geometry = choose_tiles(problem_.m, problem_.k, problem_.n, problem_.precision,
                                         level, seats, strassen_use());
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
        limits_.memory_bytes != 0 ? limits_.memory_bytes : kProductMemoryWhenUnknown;
    SeatModel seats;
    seats.threads = kProductThreadsWhenUnknown;
    seats.seats = std::max<std::uint32_t>(limits_.workers_min, 1);
    seats.flops_per_second *= seats.seats;
    seats.bytes_per_second *= seats.seats;
    const auto geometry = choose_tiles(problem_.m, problem_.k, problem_.n, problem_.precision,
                                       level, seats, strassen_use());
    if (!geometry) {
      explain_no_fit();
      return;
    }
    add(*geometry, level, seats, 0, limits_.workers_min, true);
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
    out.demand = base_demand(spec_, limits_);
    out.demand.seats_max = open_ended ? elastic_seats(limits_, units) : seats.seats;
    out.demand.memory_bytes = limits_.memory_bytes != 0
                                  ? limits_.memory_bytes
                                  : std::min(level, (needed + kMiB - 1) / kMiB * kMiB);
    out.demand.units = units;
    out.demand.units_per_range_max = std::max<std::uint64_t>(1, geometry.group_rows);
    out.demand.landing = Landing::kArtifact;
    out.plan.set_memory_bytes(needed);
    const CommVolume volume = matmul_comm_volume(geometry, seats.seats);
    out.plan.set_bytes_to_workers(static_cast<std::uint64_t>(volume.bytes_to_workers));
    out.plan.set_bytes_from_workers(static_cast<std::uint64_t>(volume.bytes_from_workers));
    fill_matmul(geometry, *out.plan.mutable_matmul());
    const TimeModel time = predict_time(geometry, seats, strassen_use().rule);
    set_prediction(limits_, time.total_seconds(), price_per_hour, known, offer_.currency_code, out);
    out.plan.set_why(why(geometry, seats, time));
    warn_of_widening(out.plan);
    if (spec_.matmul().algorithm() == "strassen" && geometry.strassen_levels == 0)
      out.plan.add_warnings("Strassen's method was asked for and is not used: " + why_plain() +
                            ".");
    outcome_.alternatives.push_back(std::move(out));
  }

  void fill_matmul(const MatmulGeometry& geometry, v1::MatmulPlan& plan) const {
    set_geometry(geometry, plan);
    plan.set_a_digest(problem_.a_digest);
    plan.set_b_digest(problem_.b_digest);
    plan.set_a_fortran_order(problem_.a_fortran_order);
    plan.set_b_fortran_order(problem_.b_fortran_order);
    plan.set_algorithm(geometry.strassen_levels > 0 ? "strassen" : "classical");
    plan.set_error_bound(error_bound(geometry));
  }

  // The work is handed out as it goes, so a device that is slower takes less of it.
  void warn_of_widening(v1::Plan& plan) const {
    const auto widen = std::count_if(found_.devices.begin(), found_.devices.end(),
                                     [](const Candidate& device) { return device.widens; });
    if (widen == 0) return;
    const std::string name(precision_name(problem_.precision));
    plan.add_warnings(std::to_string(widen) + " of " + std::to_string(found_.devices.size()) +
                      " devices that suit it have no instructions for " + name + ": there " + name +
                      " is multiplied as fp32, with the same result, at fp32's speed.");
  }

  [[nodiscard]] std::string why(const MatmulGeometry& g, const SeatModel& seats,
                                const TimeModel& time) const {
    const TileGrid grid = g.grid();
    std::string text = spec_.transport() == "elastic" ? "Elastic, as asked: "
                                                      : "Elastic, the transport of this release: ";
    if (grid.units() == 0) return text + "the product has no elements.";
    text += std::to_string(grid.grid_rows()) + " x " + std::to_string(grid.grid_columns()) +
            " tiles of " + std::to_string(g.rows()) + " x " + std::to_string(g.columns()) + " in " +
            std::string(precision_name(g.precision));
    text += g.whole_panels()
                ? " with whole panels"
                : " with panels streamed in depths of " + std::to_string(g.panel_depth);
    text +=
        " over " + std::to_string(seats.seats) + (seats.seats == 1 ? " device, " : " devices, ");
    text += "predicted to compute for " + seconds_text(time.compute_seconds) +
            " and to move data for " + seconds_text(time.transfer_seconds);
    if (g.strassen_levels > 0)
      text += "; each is halved " + std::to_string(g.strassen_levels) +
              (g.strassen_levels == 1 ? " time" : " times") +
              " by Strassen's method, which puts an element off by at most " +
              bound_text(error_bound(g)) + " of k max|A| max|B|.";
    else
      text += spec_.matmul().algorithm() == "auto" && spec_.matmul().tolerance() > 0
                  ? "; multiplied plainly: " + why_plain() + "."
                  : ".";
    return text;
  }

  // What a job takes of Strassen's method: auto wants a tolerance and devices that all have found
  // it faster.
  [[nodiscard]] StrassenUse strassen_use() const {
    const v1::MatmulSpec& matmul = spec_.matmul();
    StrassenUse use;
    if (!can_halve(problem_.precision)) return use;
    use.wanted = matmul.algorithm() == "strassen";
    if (matmul.tolerance() > 0) use.error_max = matmul.tolerance();
    if (matmul.algorithm() == "classical" || (!use.wanted && matmul.tolerance() == 0)) return use;
    for (const Candidate& device : found_.devices)
      use.rule.side = std::max(use.rule.side, device.strassen_side);
    for (const Candidate& device : found_.devices)
      if (device.strassen_side == 0) use.rule.side = 0;
    if (use.wanted && use.rule.side == 0) use.rule.side = kStrassenSideWhenUnknown;
    return use;
  }

  [[nodiscard]] std::string why_plain() const {
    if (!can_halve(problem_.precision)) return "only products of fp32 and fp64 are halved";
    const StrassenUse use = strassen_use();
    if (use.rule.side == 0) return "not every device has measured that it is faster";
    MatmulGeometry halved{.m = problem_.m,
                          .k = problem_.k,
                          .n = problem_.n,
                          .precision = problem_.precision,
                          .tile_rows = problem_.m,
                          .tile_columns = problem_.n,
                          .panel_depth = std::max<std::uint64_t>(problem_.k, 1),
                          .strassen_levels = 1};
    if (std::min({problem_.m, problem_.k, problem_.n}) < use.rule.side)
      return "sides are halved from " + std::to_string(use.rule.side) + " on";
    if (error_bound(halved) > use.error_max)
      return "its error bound, " + bound_text(error_bound(halved)) +
             " of k max|A| max|B|, is above the tolerance, " + bound_text(use.error_max);
    return "no tile that fits is large enough and faster so";
  }

  // Devices that the best alternative leaves out.
  void rule_out_small_devices() {
    const std::uint64_t needed = outcome_.alternatives.front().demand.memory_bytes;
    for (const Candidate& device : found_.devices) {
      if (device.memory_bytes >= needed) continue;
      rule_out(
          device.name,
          "has " + format_bytes(device.memory_bytes) + ", a seat needs " + format_bytes(needed),
          outcome_.ruled_out);
    }
  }

  void explain_no_fit() {
    std::uint64_t largest = 0;
    for (const Candidate& device : found_.devices) largest = std::max(largest, device.memory_bytes);
    const std::uint64_t least =
        least_memory_bytes(problem_.m, problem_.k, problem_.n, problem_.precision, most_threads());
    const std::uint64_t asked = limits_.memory_bytes;
    for (const Candidate& device : found_.devices)
      if (const std::uint64_t needed = std::max(asked, least); device.memory_bytes < needed)
        rule_out(
            device.name,
            "has " + format_bytes(device.memory_bytes) + ", a seat needs " + format_bytes(needed),
            outcome_.ruled_out);
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
  const Limits& limits_;
  Candidates found_;
  PlanOutcome outcome_;
};

}  // namespace

std::uint32_t elastic_seats(const Limits& limits, std::uint64_t units) {
  const std::uint64_t most = limits.workers_max == 0 ? kSeatsMax : limits.workers_max;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      units, limits.workers_min, std::max<std::uint64_t>(most, limits.workers_min)));
}

PlanOutcome plan_matmul(const v1::JobSpec& spec, const MatmulProblem& problem,
                        const ClusterOffer& offer, const Limits& limits) {
  return MatmulPlanner(spec, problem, offer, limits).run();
}

}  // namespace overwinter::plan
