#include "coordinator/dashboard/timeline.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "coordinator/runtime/job_filter.h"

namespace overwinter::dashboard {
namespace {

struct Bar {
  WorkerId worker;
  SeatKey seat;
  Time from{};
  Time to{};
  bool open = false;
  ledger::Charge charge;
};

std::string worker_name(const runtime::Views& views, WorkerId id) {
  const auto worker = views.worker(id);
  return worker ? worker->name : std::to_string(id.value());
}

// One bar a seat: its slices follow each other.
std::map<SeatKey, Bar> bars_of(const std::vector<store::UsageSlice>& slices) {
  std::map<SeatKey, Bar> bars;
  for (const store::UsageSlice& slice : slices) {
    const auto [at, is_new] = bars.try_emplace(slice.seat);
    Bar& bar = at->second;
    if (is_new) bar = {slice.worker, slice.seat, slice.from, slice.to, false, {}};
    bar.from = std::min(bar.from, slice.from);
    bar.to = std::max(bar.to, slice.to);
    bar.charge += slice.charge;
  }
  return bars;
}

// What a held seat has used and no closed slice has yet.
void add_open(const runtime::JobView& job, Time now, std::map<SeatKey, Bar>& bars) {
  for (const runtime::SeatView& seat : job.seats) {
    const auto [at, is_new] = bars.try_emplace(seat.seat);
    Bar& bar = at->second;
    if (is_new) bar = {seat.worker, seat.seat, now - seat.used, now, true, {}};
    bar.to = std::max(bar.to, now);
    bar.open = true;
  }
}

}  // namespace

Result<nlohmann::json> timeline_json(const runtime::Views& views, store::Store& store,
                                     const runtime::JobView& job, Time now) {
  if (Status status = store.catch_up(); !status.ok()) return fail(std::move(status));
  const auto steps = store.history().steps(job.id, kStepsMax);
  if (!steps) return fail(steps.error());
  const auto slices = store.history().usage(job.id, kSlicesMax);
  if (!slices) return fail(slices.error());
  auto bars = bars_of(*slices);
  add_open(job, now, bars);

  auto steps_out = nlohmann::json::array();
  for (const store::JobStep& step : *steps) {
    steps_out.push_back({{"time", format_time(step.time)},
                         {"state", runtime::state_name(step.state)},
                         {"attempt", step.attempt},
                         {"reason", step.reason}});
  }
  std::vector<ledger::Charge> charges;
  for (const auto& [key, bar] : bars) charges.push_back(bar.charge);
  const auto amounts = store::rounded_lines(charges);
  auto bars_out = nlohmann::json::array();
  std::size_t number = 0;
  for (const auto& [key, bar] : bars) {
    if (number == kBarsMax) break;
    bars_out.push_back({{"worker", worker_name(views, bar.worker)},
                        {"attempt", key.attempt},
                        {"seat", key.number},
                        {"from", format_time(bar.from)},
                        {"to", format_time(bar.to)},
                        {"open", bar.open},
                        {"charged", std::to_string(amounts[number++].micros)}});
  }
  const bool complete =
      steps->size() < kStepsMax && slices->size() < kSlicesMax && bars.size() <= kBarsMax;
  return nlohmann::json{{"asOf", format_time(now)},
                        {"steps", std::move(steps_out)},
                        {"bars", std::move(bars_out)},
                        {"complete", complete}};
}

}  // namespace overwinter::dashboard
