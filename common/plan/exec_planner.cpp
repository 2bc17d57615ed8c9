#include "common/plan/exec_planner.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/plan/candidates.h"
#include "common/plan/gang_groups.h"

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kProgramMemoryWhenUnknown = 512 * kMiB;
// Above what was measured: two runs of a program are not alike.
constexpr std::uint64_t kMarginShare = 4;  // a quarter
constexpr std::uint64_t kMarginLeast = 64 * kMiB;
constexpr Duration kStopGrace{90'000};  // when the specification says nothing

class ExecPlanner {
 public:
  ExecPlanner(const v1::JobSpec& spec, std::uint64_t measured_bytes, const ClusterOffer& offer,
              const Limits& limits)
      : spec_(spec), measured_(measured_bytes), offer_(offer), limits_(limits) {
    const std::uint32_t asked = std::max(limits.workers_max, limits.workers_min);
    workers_most_ = std::min(asked, kSeatsMax / limits.per_worker);
  }

  PlanOutcome run() {
    found_ = find_candidates(offer_, {.device = limits_.device,
                                      .spot = limits_.spot,
                                      .runs_user_code = true,
                                      .host = limits_.host});
    outcome_.ruled_out = found_.ruled_out;
    if (found_.devices.empty() && found_.away.empty()) {
      plan_for_unknown();
      return std::move(outcome_);
    }
    plan_with(found_.devices);
    if (outcome_.alternatives.empty() && !found_.away.empty()) {
      std::vector<Candidate> all = found_.devices;
      all.insert(all.end(), found_.away.begin(), found_.away.end());
      plan_with(all);
      for (Alternative& alternative : outcome_.alternatives)
        alternative.plan.add_warnings(
            "No worker can take it now: it waits until those that suit it are back.");
    }
    if (outcome_.alternatives.empty()) {
      explain_no_fit();
      return std::move(outcome_);
    }
    const std::uint64_t needed = outcome_.alternatives.front().demand.memory_bytes;
    for (const Candidate& device : found_.devices)
      if (device.memory_bytes < needed) rule_out_small(device, needed);
    return std::move(outcome_);
  }

 private:
  void plan_with(const std::vector<Candidate>& devices) {
    std::uint64_t memory = limits_.memory_bytes != 0 ? limits_.memory_bytes : proposed();
    GangGroups groups(offer_, devices, memory, limits_.per_worker);
    if (groups.largest() == 0 && limits_.memory_bytes == 0) {
      memory = 0;  // it may do with the whole of a device that is smaller
      groups = GangGroups(offer_, devices, memory, limits_.per_worker);
    }
    if (groups.largest() == 0) return;
    const std::size_t least = std::min<std::size_t>(limits_.workers_min, groups.largest());
    if (memory == 0) {
      memory = groups.smallest_device(least);
      groups = GangGroups(offer_, devices, memory, limits_.per_worker);
    }
    const std::size_t workers = std::min<std::size_t>(groups.largest(), workers_most_);
    double price = groups.of(workers).price_per_hour;
    if (workers < limits_.workers_min)
      price *= static_cast<double>(limits_.workers_min) / static_cast<double>(workers);
    add(memory, price, groups.largest());
    if (limits_.memory_bytes == 0) tell_memory(memory, outcome_.alternatives.back().plan);
  }

  // With its margin; 0: nothing was measured.
  [[nodiscard]] std::uint64_t proposed() const {
    if (measured_ == 0) return 0;
    const std::uint64_t bytes = measured_ + std::max(measured_ / kMarginShare, kMarginLeast);
    return (bytes + kMiB - 1) / kMiB * kMiB;
  }

  void tell_memory(std::uint64_t memory, v1::Plan& plan) const {
    if (memory == proposed()) {
      plan.mutable_exec()->set_measured(true);
      plan.add_warnings("An earlier run of this program took " + format_bytes(measured_) +
                        " of a device: a seat has " + format_bytes(memory) +
                        "; memory_per_device says otherwise.");
      return;
    }
    plan.add_warnings(
        "What the program needs is not known: a seat has the whole of the smallest device that "
        "suits it, " +
        format_bytes(memory) + "; memory_per_device says otherwise.");
  }

  // No device of the wanted kind is there: the job may come before its workers.
  void plan_for_unknown() {
    std::uint64_t memory = limits_.memory_bytes != 0 ? limits_.memory_bytes : proposed();
    if (memory == 0) memory = kProgramMemoryWhenUnknown;
    add(memory, 0, limits_.workers_min);
    outcome_.alternatives.back().plan.add_warnings(
        "No worker with a device of kind " + limits_.device +
        " is known and free for this job: it will wait, and is planned for devices of " +
        format_bytes(memory) + "; cost is not known.");
  }

  void add(std::uint64_t memory, double price_per_hour, std::size_t known) {
    Alternative out;
    out.demand = base_demand(spec_, limits_);
    out.demand.seats_max = workers_most_ * limits_.per_worker;
    out.demand.memory_bytes = memory;
    out.demand.runs_user_code = true;
    out.demand.stop_time =
        spec_.stop().has_grace() ? duration_of(spec_.stop().grace()) : kStopGrace;
    out.plan.set_memory_bytes(memory);
    out.plan.mutable_exec()->set_processes_per_worker(processes());
    const double seconds =
        limits_.time_limit ? static_cast<double>(limits_.time_limit->count()) / 1000 : 0;
    set_prediction(limits_, seconds, price_per_hour, known, offer_.currency_code, out);
    out.plan.add_warnings(limits_.time_limit
                              ? "How long the program runs is not known; time and cost are those "
                                "of its time_limit."
                              : "How long the program runs is not known; time and cost are not "
                                "predicted.");
    out.plan.set_why(why());
    outcome_.alternatives.push_back(std::move(out));
  }

  // torchrun starts its own, and a program without a launcher is one.
  [[nodiscard]] std::uint32_t processes() const {
    const std::string& launcher = spec_.exec().launcher();
    return launcher == "torchrun" || launcher == "none" ? 1 : limits_.per_worker;
  }

  [[nodiscard]] std::string why() const {
    std::string text = spec_.transport() == "gang" ? "A gang, as asked: "
                                                   : "A gang, as programs of your own run: ";
    text += std::to_string(processes()) + (processes() == 1 ? " process" : " processes");
    text += " on each of " + std::to_string(limits_.workers_min);
    if (workers_most_ > limits_.workers_min) text += " to " + std::to_string(workers_most_);
    return text + (workers_most_ == 1 ? " worker." : " workers.");
  }

  void rule_out_small(const Candidate& device, std::uint64_t needed) {
    rule_out(device.name,
             "has " + format_bytes(device.memory_bytes) + ", a seat needs " + format_bytes(needed),
             outcome_.ruled_out);
  }

  void explain_no_fit() {
    const std::uint64_t asked = limits_.memory_bytes;
    std::uint64_t largest = 0;
    for (const auto* devices : {&found_.devices, &found_.away})
      for (const Candidate& device : *devices) largest = std::max(largest, device.memory_bytes);
    for (const Candidate& device : found_.devices)
      if (device.memory_bytes < asked) rule_out_small(device, asked);
    if (asked > largest) {
      outcome_.reason = "memory_per_device asks for " + format_bytes(asked) +
                        ", and the largest device known has " + format_bytes(largest) +
                        "; set it to auto or to " + format_bytes(largest) + " or less.";
      return;
    }
    outcome_.reason =
        "The job asks for " + std::to_string(limits_.per_worker) + " devices on each worker" +
        (asked == 0 ? std::string() : ", with " + format_bytes(asked) + " each") +
        ", and no worker known has as many; ask for fewer: device: " + limits_.device + ".";
  }

  const v1::JobSpec& spec_;
  const std::uint64_t measured_;
  const ClusterOffer& offer_;
  const Limits& limits_;
  std::uint32_t workers_most_ = 1;
  Candidates found_;
  PlanOutcome outcome_;
};

}  // namespace

PlanOutcome plan_exec(const v1::JobSpec& spec, std::uint64_t measured_bytes,
                      const ClusterOffer& offer, const Limits& limits) {
  return ExecPlanner(spec, measured_bytes, offer, limits).run();
}

}  // namespace overwinter::plan
