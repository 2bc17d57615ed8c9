#include "coordinator/runtime/spend.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/snapshot.h"

namespace overwinter::runtime {
namespace {

using ledger::Charge;

constexpr std::size_t kSlicesMax = 10'000;
constexpr Duration kHour = std::chrono::hours(1);

// A slice of a job's use.
struct Use {
  AttemptNumber attempt = 0;
  Time from{};
  Time to{};
  Charge charge;
};

// The part of a slice before `until`, in proportion.
Charge part_until(Time from, Time to, Charge charge, Time until) {
  if (until >= to || to <= from) return charge;
  if (until <= from) return {};
  return {charge.units * (until - from).count() / (to - from).count()};
}

class Hours {
 public:
  explicit Hours(Time now) {
    const auto last = std::chrono::floor<std::chrono::hours>(now.time_since_epoch());
    spend_.from = Time(last) - kHour * (static_cast<int>(kSpendHours) - 1);
    spend_.hours.resize(kSpendHours);
  }
  void add(Time from, Time to, Charge charge, Charge SpendHour::*to_what) {
    Charge before = part_until(from, to, charge, spend_.from);
    Time end = spend_.from;
    for (SpendHour& hour : spend_.hours) {
      end += kHour;
      const Charge until = part_until(from, to, charge, end);
      hour.*to_what += until - before;
      before = until;
    }
  }
  // Newest first: what an attempt lost is the last that it did.
  void add_job(std::vector<Use> uses, std::map<AttemptNumber, Charge> lost) {
    std::ranges::sort(uses, [](const Use& a, const Use& b) { return a.to > b.to; });
    for (const Use& use : uses) {
      Charge redone;
      if (const auto left = lost.find(use.attempt); left != lost.end()) {
        redone = std::min(left->second, use.charge);
        left->second -= redone;
      }
      if (use.charge.units == 0) continue;
      const Charge useful = use.charge - redone;
      const auto span = (use.to - use.from).count();
      const Time cut = use.from + Duration(static_cast<Duration::rep>(
                                      ledger::Int128{span} * useful.units / use.charge.units));
      add(use.from, cut, useful, &SpendHour::useful);
      add(cut, use.to, redone, &SpendHour::redone);
    }
  }
  [[nodiscard]] Spend& spend() { return spend_; }

 private:
  Spend spend_;
};

// What each attempt lost; of the first that is remembered only when it was the first.
std::map<AttemptNumber, Charge> lost_by_attempt(const std::vector<core::EndedAttempt>& attempts) {
  std::map<AttemptNumber, Charge> out;
  Charge before;
  for (const core::EndedAttempt& one : attempts) {
    if (!out.empty() || one.attempt <= 1)
      out[one.attempt] = one.wasted - before;
    else
      out[one.attempt] = {};
    before = one.wasted;
  }
  return out;
}

Status add_jobs(const Views& views, store::Store& store, const std::string& project, Hours& hours) {
  const auto slices = store.history().usage_since(hours.spend().from, kSlicesMax);
  if (!slices) return slices.error();
  if (slices->size() == kSlicesMax) hours.spend().complete = false;
  std::map<JobId, std::vector<Use>> uses;
  for (const store::UsageSlice& slice : *slices)
    uses[slice.seat.job].push_back({slice.seat.attempt, slice.from, slice.to, slice.charge});
  for (const auto& view : views.jobs(project)) {
    if (view->open.units != 0)
      uses[view->id].push_back({view->attempt, view->open_from, view->as_of, view->open});
  }
  for (auto& [id, of_job] : uses) {
    JobViewPtr view = views.job(id);
    if (!view) {
      const auto past = store.history().record(id);
      if (!past) return past.error();
      if (!*past) continue;
      view = view_of_past((*past)->job);
    }
    if (!project.empty() && view->project != project) continue;
    hours.add_job(std::move(of_job), lost_by_attempt(view->attempts));
  }
  return Status::success();
}

// Machines' whole cost, less what jobs paid of it hour by hour.
Status add_idle(const Views& views, store::Store& store, Time now, Hours& hours) {
  const auto slices = store.history().machine_slices_since(hours.spend().from, kSlicesMax);
  if (!slices) return slices.error();
  if (slices->size() == kSlicesMax) hours.spend().complete = false;
  for (const store::MachineSlice& slice : *slices)
    hours.add(slice.from, slice.to, slice.total, &SpendHour::idle);
  for (const auto& worker : views.workers()) {
    if (const Charge charge = open_machine(*worker, now); charge > Charge{})
      hours.add(worker->slice_from, now, charge, &SpendHour::idle);
  }
  for (SpendHour& hour : hours.spend().hours) {
    // Evenly spread slices of jobs may be a little ahead of the machines' in an hour.
    hour.idle = std::max(Charge{}, hour.idle - hour.useful - hour.redone);
  }
  return Status::success();
}

}  // namespace

Result<Spend> spend_by_hour(const Views& views, store::Store& store, bool machines,
                            const std::string& project, Time now) {
  if (Status status = store.catch_up(); !status.ok()) return fail(std::move(status));
  Hours hours(now);
  if (Status status = add_jobs(views, store, project, hours); !status.ok())
    return fail(std::move(status));
  if (!machines) return std::move(hours.spend());
  if (Status status = add_idle(views, store, now, hours); !status.ok())
    return fail(std::move(status));
  return std::move(hours.spend());
}

}  // namespace overwinter::runtime
