#include "common/plan/train_planner.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/bytes.h"
#include "common/plan/candidates.h"
#include "common/plan/gang_groups.h"
#include "common/plan/train_batch.h"
#include "common/plan/train_choice.h"
#include "common/plan/train_memory.h"
#include "common/plan/train_time.h"

namespace overwinter::plan {
namespace {

// Distinct sizes of devices that are tried; beyond, an even choice of them.
constexpr std::size_t kTrainMemoryLevelsMax = 64;
constexpr std::uint32_t kRankThreadsWhenUnknown = 16;
constexpr double kFlopsWhenUnknown = 1e10;
constexpr double kLinkWhenUnknown = 1e8;

// A way to train: placed on `workers`, and still holding on `workers_min` of them.
struct Way {
  std::uint32_t workers_min = 1;
  std::uint32_t workers = 1;
  std::size_t known = 0;
  bool open_ended = false;  // more workers take part if they come
  GangModel model;
  double step_seconds = 0;
  double seconds = 0;
};

class TrainPlanner {
 public:
  TrainPlanner(const v1::JobSpec& spec, const TrainProblem& problem, const ClusterOffer& offer,
               const Limits& limits)
      : spec_(spec), problem_(problem), offer_(offer), limits_(limits) {}

  Result<PlanOutcome> run() {
    workers_most_ = most_workers();
    if (Status s = decide_precision(); !s.ok()) return fail(s);
    outcome_.ruled_out = found_.ruled_out;
    if (found_.devices.empty() && found_.away.empty()) {
      plan_for_unknown();
      return std::move(outcome_);
    }
    plan_with(found_.devices);
    if (outcome_.alternatives.empty() && !found_.away.empty()) plan_with_away();
    if (outcome_.alternatives.empty()) {
      explain_no_fit();
      return std::move(outcome_);
    }
    rank_alternatives(limits_, outcome_.alternatives);
    rule_out_small_devices();
    return std::move(outcome_);
  }

 private:
  // Devices with their speed in a precision, and what a rank holds in it.
  Status look_in(TrainPrecision precision) {
    found_ = find_candidates(offer_, {.device = limits_.device,
                                      .spot = limits_.spot,
                                      .precision = product_precision(precision),
                                      .host = limits_.host});
    const bool none = found_.devices.empty() && found_.away.empty();
    threads_ = none ? kRankThreadsWhenUnknown : 1;
    for (const auto* devices : {&found_.devices, &found_.away})
      for (const Candidate& device : *devices) threads_ = std::max(threads_, device.threads);
    v1::TrainSpec spec = spec_.train();
    spec.set_precision(std::string(train_precision_name(precision)));
    auto rank = train_rank(spec, problem_.data, ranks(limits_.workers_min), threads_);
    if (!rank) return rank.error();
    rank_ = std::move(*rank);
    return Status::success();
  }

  // Looks in the precision that is wanted, and in fp32 where that was not chosen.
  Status decide_precision() {
    const std::string& asked = spec_.train().precision();
    const auto wanted = is_auto_precision(asked) ? TrainPrecision::kBf16 : train_precision(asked);
    if (!wanted) return wanted.error();
    if (Status s = look_in(*wanted); !s.ok()) return s;
    // A device that is too small for any of its plans says nothing.
    std::vector<Candidate> fit;
    for (const auto* devices : {&found_.devices, &found_.away})
      for (const Candidate& device : *devices)
        if (device.memory_bytes >= seat_bytes(workers_most_)) fit.push_back(device);
    auto choice = choose_precision(asked, fit);
    if (!choice) return choice.error();
    choice_ = std::move(*choice);
    return choice_.precision == *wanted ? Status::success() : look_in(choice_.precision);
  }

  [[nodiscard]] std::uint64_t ranks(std::uint64_t workers) const {
    return workers * limits_.per_worker;
  }

  // As many as the specification allows and the batch splits into; at least workers_min, which it
  // splits into.
  [[nodiscard]] std::uint32_t most_workers() const {
    const std::uint64_t pieces = std::max<std::uint32_t>(spec_.train().accumulate(), 1);
    const std::uint64_t split = spec_.train().batch_size() / pieces / limits_.per_worker;
    const std::uint64_t asked = limits_.workers_max == 0 ? kSeatsMax : limits_.workers_max;
    const std::uint64_t most =
        std::min({asked, split, std::uint64_t{kSeatsMax / limits_.per_worker}});
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(most, limits_.workers_min));
  }

  [[nodiscard]] TrainRank rank_on(std::uint64_t workers) const {
    TrainRank rank = rank_;
    rank.micro_batch = micro_batch(workers);
    return rank;
  }
  [[nodiscard]] std::uint64_t micro_batch(std::uint64_t workers) const {
    return largest_micro_batch(spec_.train().batch_size(), ranks(workers),
                               spec_.train().accumulate());
  }
  // What a rank holds at its peak on so many workers: less on more of them.
  [[nodiscard]] std::uint64_t peak(std::uint64_t workers) const {
    return train_memory(rank_on(workers)).total_bytes();
  }
  // Of a seat.
  [[nodiscard]] std::uint64_t seat_bytes(std::uint64_t workers) const {
    return limits_.memory_bytes != 0 ? limits_.memory_bytes : whole_mib(peak(workers));
  }

  // The fewest workers whose ranks fit `bytes`; 0: none that are allowed.
  [[nodiscard]] std::uint32_t fewest_workers(std::uint64_t bytes) const {
    const auto fits = [&](std::uint32_t workers) {
      return (limits_.memory_bytes != 0 ? peak(workers) : seat_bytes(workers)) <= bytes;
    };
    if (!fits(workers_most_)) return 0;
    std::uint32_t low = limits_.workers_min;
    std::uint32_t high = workers_most_;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (fits(middle))
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }

  // The numbers of workers from which on another size of device takes part.
  [[nodiscard]] std::set<std::uint32_t> beginnings(const std::vector<Candidate>& devices) const {
    std::set<std::uint64_t> sizes;
    for (const Candidate& device : devices)
      if (device.memory_bytes >= limits_.memory_bytes)
        sizes.insert(limits_.memory_bytes != 0 ? limits_.memory_bytes : device.memory_bytes);
    const std::vector<std::uint64_t> levels(sizes.begin(), sizes.end());
    const std::size_t tried = std::min(levels.size(), kTrainMemoryLevelsMax);
    std::set<std::uint32_t> out;
    for (std::size_t i = 0; i < tried; ++i) {
      const std::size_t at = tried < 2 ? 0 : i * (levels.size() - 1) / (tried - 1);
      if (const std::uint32_t workers = fewest_workers(levels[at]); workers != 0)
        out.insert(workers);
    }
    return out;
  }

  void plan_with(const std::vector<Candidate>& devices) {
    bool waits = false;
    for (const std::uint32_t least : beginnings(devices)) {
      const GangGroups groups(offer_, devices, seat_bytes(least), limits_.per_worker);
      // Fewer than were asked for never start it; more than were asked for are not waited for.
      if (groups.largest() < least)
        waits = waits || (least == limits_.workers_min && groups.largest() > 0);
      else
        for (const Way& way : ways(groups, least)) add(way);
    }
    if (!waits || !outcome_.alternatives.empty()) return;
    plan_waiting(GangGroups(offer_, devices, seat_bytes(limits_.workers_min), limits_.per_worker));
  }

  void plan_with_away() {
    std::vector<Candidate> all = found_.devices;
    all.insert(all.end(), found_.away.begin(), found_.away.end());
    plan_with(all);
    for (Alternative& alternative : outcome_.alternatives)
      alternative.plan.add_warnings(
          "No worker can take it now: it waits until those that suit it are back.");
  }

  // Of all numbers of workers: the most, half, the fewest, the fastest, and with a deadline the
  // cheapest in time.
  [[nodiscard]] std::vector<Way> ways(const GangGroups& groups, std::uint32_t least) const {
    const auto most =
        static_cast<std::uint32_t>(std::min<std::size_t>(groups.largest(), workers_most_));
    std::vector<Way> all;
    for (std::uint32_t workers = least; workers <= most; ++workers) {
      Way way{.workers_min = least,
              .workers = workers,
              .known = groups.largest(),
              .open_ended = workers == most,
              .model = groups.of(workers)};
      predict(way);
      all.push_back(way);
    }
    const auto late = [this](const Way& way) {
      return limits_.deadline &&
             way.seconds * 1000 > static_cast<double>(limits_.deadline->count());
    };
    const auto fastest = std::min_element(
        all.begin(), all.end(), [](const Way& a, const Way& b) { return a.seconds < b.seconds; });
    const auto cheapest = std::min_element(all.begin(), all.end(), [&](const Way& a, const Way& b) {
      return std::tuple(late(a), a.seconds * a.model.price_per_hour) <
             std::tuple(late(b), b.seconds * b.model.price_per_hour);
    });
    std::set<std::ptrdiff_t> chosen{0, fastest - all.begin(), std::ssize(all) - 1};
    if (most / 2 >= least) chosen.insert(most / 2 - least);
    if (limits_.deadline) chosen.insert(cheapest - all.begin());
    std::vector<Way> out;
    for (const std::ptrdiff_t i : chosen) out.push_back(all[static_cast<std::size_t>(i)]);
    return out;
  }

  void plan_waiting(const GangGroups& groups) {
    Way way{.workers_min = limits_.workers_min,
            .workers = limits_.workers_min,
            .known = groups.largest(),
            .open_ended = true,
            .model = groups.of(groups.largest())};
    // Those that are missing are taken to be like those that are there.
    way.model.price_per_hour *=
        static_cast<double>(way.workers) / static_cast<double>(way.model.workers);
    way.model.one_host = false;
    predict(way);
    add(way);
  }

  // No device of the wanted kind is there: the job may come before its workers.
  void plan_for_unknown() {
    if (limits_.memory_bytes != 0 && fewest_workers(limits_.memory_bytes) == 0) {
      explain_no_fit();
      return;
    }
    Way way{.workers_min = limits_.memory_bytes != 0 ? fewest_workers(limits_.memory_bytes)
                                                     : limits_.workers_min,
            .open_ended = true,
            .model = {.flops_per_second = kFlopsWhenUnknown,
                      .bytes_per_second = kLinkWhenUnknown,
                      .one_host = false}};
    way.workers = way.workers_min;
    way.known = way.workers;
    predict(way);
    add(way);
    outcome_.alternatives.back().plan.add_warnings(
        "No worker with a device of kind " + limits_.device +
        " is known and free for this job: it will wait, and is planned for devices of " +
        format_bytes(seat_bytes(way.workers_min)) + "; time is a guess, and cost is not known.");
  }

  void predict(Way& way) const {
    way.step_seconds = train_step_seconds(rank_on(way.workers), ranks(way.workers),
                                          spec_.train().batch_size(), way.model);
    way.seconds =
        train_seconds(way.step_seconds, spec_.train().steps(), problem_.input_bytes, way.model);
  }

  void add(const Way& way) {
    Alternative out;
    const TrainRank rank = rank_on(way.workers_min);
    const TrainMemory memory = train_memory(rank);
    out.demand = base_demand(spec_, limits_);
    out.demand.seats_min = way.workers_min * limits_.per_worker;
    out.demand.seats_max = (way.open_ended ? workers_most_ : way.workers) * limits_.per_worker;
    out.demand.memory_bytes = seat_bytes(way.workers_min);
    out.demand.stop_time = train_stop_time(way.step_seconds, memory, way.model);
    for (const Alternative& other : outcome_.alternatives)
      if (other.demand.seats_min == out.demand.seats_min &&
          other.demand.seats_max == out.demand.seats_max)
        return;
    out.plan.set_memory_bytes(memory.total_bytes());
    const double input = static_cast<double>(problem_.input_bytes) * way.workers;
    out.plan.set_bytes_to_workers(static_cast<std::uint64_t>(std::min(input, 1e19)));
    out.plan.set_bytes_from_workers(static_cast<std::uint64_t>(
        std::min(train_checkpoints(spec_, way.seconds) * train_state_bytes(memory), 1e19)));
    v1::TrainPlan& train = *out.plan.mutable_train();
    train = train_plan(rank, problem_.data, spec_.train().accumulate());
    train.set_step_seconds(way.step_seconds);
    for (const std::string& digest : problem_.data_digests) train.add_data_digests(digest);
    train.set_init_digest(problem_.init_digest);
    set_prediction(limits_, way.seconds, way.model.price_per_hour, way.known, offer_.currency_code,
                   out);
    if (!choice_.warning.empty()) out.plan.add_warnings(choice_.warning);
    if (limits_.workers_max > workers_most_)
      out.plan.add_warnings("At most " + std::to_string(workers_most_) +
                            " workers take part: a batch of " +
                            std::to_string(spec_.train().batch_size()) + " splits no further.");
    out.plan.set_why(why(way));
    outcome_.alternatives.push_back(std::move(out));
  }

  [[nodiscard]] std::string why(const Way& way) const {
    const std::uint64_t count = ranks(way.workers);
    std::string text = spec_.transport() == "gang" ? "A gang, as asked: "
                                                   : "A gang, as training runs in this release: ";
    text += std::to_string(count) + (count == 1 ? " rank" : " ranks") + " of at most " +
            std::to_string(micro_batch(way.workers)) + " samples at once in " +
            std::string(train_precision_name(choice_.precision)) + choice_.why +
            ", predicted to make a step in " + seconds_text(way.step_seconds) + ".";
    return text;
  }

  // Devices that the best alternative leaves out.
  void rule_out_small_devices() {
    const Demand& best = outcome_.alternatives.front().demand;
    for (const Candidate& device : found_.devices)
      if (device.memory_bytes < best.memory_bytes)
        rule_out(device.name,
                 "has " + format_bytes(device.memory_bytes) + ", a seat needs " +
                     format_bytes(best.memory_bytes),
                 outcome_.ruled_out);
  }

  void explain_no_fit() {
    const std::uint64_t needed = whole_mib(peak(limits_.workers_min));
    const std::uint64_t least = whole_mib(peak(workers_most_));
    const std::uint64_t asked = limits_.memory_bytes;
    std::uint64_t largest = 0;
    for (const auto* devices : {&found_.devices, &found_.away})
      for (const Candidate& device : *devices) largest = std::max(largest, device.memory_bytes);
    for (const Candidate& device : found_.devices)
      if (const std::uint64_t seat = std::max(asked, least); device.memory_bytes < seat)
        rule_out(
            device.name,
            "has " + format_bytes(device.memory_bytes) + ", a seat needs " + format_bytes(seat),
            outcome_.ruled_out);
    outcome_.reason =
        "Training " + std::to_string(train_parameters(rank_.tensors)) +
        " parameters with a batch of " + std::to_string(spec_.train().batch_size()) + " needs " +
        format_bytes(needed) + " on each device of " + workers_text(limits_.workers_min) +
        (least < needed ? " (" + format_bytes(least) + " on " + workers_text(workers_most_) + ")"
                        : std::string()) +
        what_would_fit(needed, least, largest);
  }

  [[nodiscard]] std::string what_would_fit(std::uint64_t needed, std::uint64_t least,
                                           std::uint64_t largest) const {
    const std::uint64_t asked = limits_.memory_bytes;
    if (asked != 0 && fewest_workers(asked) == 0)
      return ", and memory_per_device is " + format_bytes(asked) + "; set it to auto or to " +
             format_bytes(least) + " or more.";
    if (asked != 0 && asked > largest)
      return "; memory_per_device asks for " + format_bytes(asked) +
             ", and the largest device known has " + format_bytes(largest) +
             "; set it to auto or to " + format_bytes(largest) + " or less.";
    std::string text = ", and the largest device known has " + format_bytes(largest);
    if (largest >= seat_bytes(limits_.workers_min))
      return text + "; but no worker known has " + std::to_string(limits_.per_worker) +
             " such devices. Ask for fewer: device: " + limits_.device + ".";
    const std::uint32_t together = fewest_workers(largest);
    const std::uint64_t mib = (asked != 0 ? asked : needed) / kMiB;
    text += "; a worker with --device cpu:memory=" + std::to_string(mib) + "MiB or more would fit";
    if (together > limits_.workers_min)
      text += ", or " + workers_text(together) + " with " + format_bytes(seat_bytes(together)) +
              " a device together on one network";
    return text + ".";
  }

  static std::string workers_text(std::uint64_t count) {
    return std::to_string(count) + (count == 1 ? " worker" : " workers");
  }

  const v1::JobSpec& spec_;
  const TrainProblem& problem_;
  const ClusterOffer& offer_;
  const Limits& limits_;
  Candidates found_;
  TrainChoice choice_;
  TrainRank rank_;  // on workers_min
  std::uint32_t threads_ = 1;
  std::uint32_t workers_most_ = 1;
  PlanOutcome outcome_;
};

}  // namespace

Result<PlanOutcome> plan_train(const v1::JobSpec& spec, const TrainProblem& problem,
                               const ClusterOffer& offer, const Limits& limits) {
  return TrainPlanner(spec, problem, offer, limits).run();
}

}  // namespace overwinter::plan
