#include "common/plan/plan_limits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <tuple>
#include <utility>

#include "common/base/bytes.h"

namespace overwinter::plan {
namespace {

constexpr Duration kStopTime{1000};
constexpr std::uint32_t kDevicesOfWorkerMax = 64;

bool is_gang(const v1::JobSpec& spec) {
  return spec.has_train() || spec.has_exec();
}

Status check_transport(const v1::JobSpec& spec) {
  const std::string& transport = spec.transport();
  if (transport.empty() || transport == "auto") return Status::success();
  if (transport != (is_gang(spec) ? "gang" : "elastic"))
    return error(Code::kInvalidArgument,
                 is_gang(spec) ? "Transport \"" + transport +
                                     "\" does not run training or programs of your own; they run "
                                     "as gangs."
                               : "Transport \"" + transport +
                                     "\" does not run products; they run as elastic jobs.",
                 "transport", "Use transport: auto.");
  return Status::success();
}

// KIND or KIND:COUNT. The whole rule is the specification's (common/spec), which this room does not
// use; here only what a plan needs.
Status read_device(std::string_view text, Limits& limits) {
  if (text.empty()) return Status::success();
  const std::size_t colon = std::min(text.find(':'), text.size());
  limits.device = std::string(text.substr(0, colon));
  if (colon < text.size()) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), limits.per_worker);
    if (problem != std::errc() || end != digits.data() + digits.size() || limits.per_worker == 0 ||
        limits.per_worker > kDevicesOfWorkerMax)
      limits.device.clear();
  }
  if (limits.device.empty())
    return error(Code::kInvalidArgument,
                 "A device is KIND or KIND:COUNT with a count of 1 to 64, as any, cpu or H100:8.",
                 "workers.device");
  return Status::success();
}

}  // namespace

Duration duration_of(const google::protobuf::Duration& d) {
  return Duration(d.seconds() * 1000 + d.nanos() / 1'000'000);
}

std::string seconds_text(double seconds) {
  return format_duration(Duration(std::llround(std::min(seconds * 1000, 9e15))));
}

std::uint64_t whole_mib(std::uint64_t bytes) {
  return bytes > UINT64_MAX - kMiB ? bytes / kMiB * kMiB : (bytes + kMiB - 1) / kMiB * kMiB;
}

void rule_out(std::string what, std::string why_not, std::vector<v1::RuledOut>& out) {
  v1::RuledOut& entry = out.emplace_back();
  entry.set_what(std::move(what));
  entry.set_why(std::move(why_not));
}

Result<Limits> limits_of(const v1::JobSpec& spec) {
  if (Status s = check_transport(spec); !s.ok()) return fail(std::move(s));
  Limits limits;
  if (Status s = read_device(spec.workers().device(), limits); !s.ok()) return fail(std::move(s));
  limits.transport = is_gang(spec) ? Transport::kGang : Transport::kElastic;
  if (limits.transport == Transport::kElastic && limits.per_worker > 1)
    return fail(Code::kInvalidArgument,
                "An elastic job takes devices one by one; COUNT devices a worker are for training "
                "and programs of your own.",
                "workers.device", "Use device: " + limits.device + ".");
  limits.workers_min = std::max<std::uint32_t>(spec.workers().min(), 1);
  limits.workers_max = spec.workers().max();
  limits.memory_bytes = spec.memory_per_device_bytes();
  if (spec.budget().has_cap()) limits.cap = Money{spec.budget().cap().amount_micros()};
  if (spec.budget().has_deadline()) limits.deadline = duration_of(spec.budget().deadline());
  if (spec.has_time_limit()) limits.time_limit = duration_of(spec.time_limit());
  if (spec.priority() == "low") limits.priority = Priority::kLow;
  if (spec.priority() == "high") limits.priority = Priority::kHigh;
  if (spec.spot() == "never") limits.spot = SpotUse::kNever;
  if (spec.spot() == "only") limits.spot = SpotUse::kOnly;
  limits.host = {spec.host().memory_bytes(), spec.host().cpus()};
  if (limits.transport == Transport::kElastic) return limits;
  if (limits.workers_min > kSeatsMax / limits.per_worker)
    return fail(Code::kInvalidArgument,
                "A gang has at most " + std::to_string(kSeatsMax) + " seats; " +
                    std::to_string(limits.workers_min) + " workers with " +
                    std::to_string(limits.per_worker) + " devices are more.",
                "workers.min");
  return limits;
}

Demand base_demand(const v1::JobSpec& spec, const Limits& limits) {
  Demand demand;
  demand.transport = limits.transport;
  demand.device_kind = limits.device;
  demand.stop_time = kStopTime;
  demand.cap = limits.cap;
  demand.time_limit = limits.time_limit;
  demand.priority = limits.priority;
  demand.spot = limits.spot;
  demand.seats_min = limits.workers_min * limits.per_worker;
  demand.threads = 0;  // all threads of its device
  if (limits.transport == Transport::kElastic) return demand;
  demand.seats_per_worker = limits.per_worker;
  // A gang is done when its ranks are: one unit, by their word.
  demand.units = 1;
  demand.landing = Landing::kReport;
  demand.host = limits.host;
  if (spec.has_retries()) demand.retries = spec.retries();
  if (spec.has_stall_timeout()) demand.stall_timeout = duration_of(spec.stall_timeout());
  return demand;
}

void set_prediction(const Limits& limits, double seconds, double price_per_hour, std::size_t known,
                    const std::string& currency, Alternative& out) {
  Demand& demand = out.demand;
  const double milliseconds = std::min(seconds * 1000, 9e15);
  demand.predicted_duration = Duration(std::llround(milliseconds));
  const double micros = std::min(price_per_hour * seconds / 3600, 9e18);
  demand.predicted_cost = Money{std::llround(micros)};
  demand.predicted_memory_bytes = out.plan.memory_bytes();
  const bool gang = demand.transport == Transport::kGang;
  const std::uint32_t needed = demand.seats_min / demand.seats_per_worker;
  v1::Plan& plan = out.plan;
  plan.set_transport(gang ? "gang" : "elastic");
  plan.set_workers_min(needed);
  plan.set_workers_max(demand.seats_max / demand.seats_per_worker);
  plan.set_device(limits.per_worker == 1 ? limits.device
                                         : limits.device + ":" + std::to_string(limits.per_worker));
  plan.mutable_duration()->set_seconds(demand.predicted_duration.count() / 1000);
  plan.mutable_duration()->set_nanos(
      static_cast<std::int32_t>(demand.predicted_duration.count() % 1000) * 1'000'000);
  plan.mutable_cost()->set_amount_micros(demand.predicted_cost.micros);
  plan.mutable_cost()->set_currency_code(currency);
  if (known < needed)
    plan.add_warnings("The job waits until " + std::to_string(needed) +
                      (gang ? " workers" : " devices") + " that fit are there" +
                      (gang ? " together" : "") + "; " + std::to_string(known) + " are known.");
  if (limits.cap && demand.predicted_cost > *limits.cap)
    plan.add_warnings("The predicted cost of " + format_money(demand.predicted_cost) +
                      " is above the cap of " + format_money(*limits.cap) +
                      ": the job will pause before it passes the cap.");
  if (limits.deadline && demand.predicted_duration > *limits.deadline)
    plan.add_warnings("The predicted " + format_duration(demand.predicted_duration) +
                      " are longer than the deadline of " + format_duration(*limits.deadline) +
                      ".");
}

void rank_alternatives(const Limits& limits, std::vector<Alternative>& all) {
  const auto key = [&limits](const Alternative& a) {
    const bool late = limits.deadline && a.demand.predicted_duration > *limits.deadline;
    const std::int64_t time = a.demand.predicted_duration.count();
    const std::int64_t cost = a.demand.predicted_cost.micros;
    // On time: the cheapest. Late, or no deadline: the fastest.
    const bool by_cost = limits.deadline && !late;
    return std::tuple(late, by_cost ? cost : time, by_cost ? time : cost);
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Alternative& a, const Alternative& b) { return key(a) < key(b); });
  if (all.size() > kAlternativesMax) all.resize(kAlternativesMax);
}

}  // namespace overwinter::plan
