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

// Of an attempt's cost.
struct InVain {
  Charge waiting;
  Charge redone;
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
  void add_job(std::vector<Use> uses, std::map<AttemptNumber, InVain> in_vain) {
    std::ranges::sort(uses, {}, &Use::from);
    std::map<AttemptNumber, bool> begins_here;
    for (const Use& use : uses) begins_here.try_emplace(use.attempt, use.from >= spend_.from);
    std::vector<Parts> parts(uses.size());
    for (std::size_t i = 0; i < uses.size(); ++i) {
      // One that began before the chart waited before it.
      if (begins_here[uses[i].attempt])
        parts[i].waiting = take(in_vain[uses[i].attempt].waiting, uses[i].charge);
    }
    for (std::size_t i = uses.size(); i-- > 0;)
      parts[i].redone = take(in_vain[uses[i].attempt].redone, uses[i].charge - parts[i].waiting);
    for (std::size_t i = 0; i < uses.size(); ++i) add_slice(uses[i], parts[i]);
  }
  [[nodiscard]] Spend& spend() { return spend_; }

 private:
  struct Parts {
    Charge waiting;
    Charge redone;
  };
  static Charge take(Charge& left, Charge most) {
    const Charge taken = std::min(left, most);
    left -= taken;
    return taken;
  }
  void add_slice(const Use& use, const Parts& parts) {
    const auto until = [&](Charge charge) {
      const auto span = ledger::Int128{(use.to - use.from).count()};
      return use.charge.units == 0
                 ? use.from
                 : use.from +
                       Duration(static_cast<Duration::rep>(span * charge.units / use.charge.units));
    };
    const Time up = until(parts.waiting);
    const Time kept = until(use.charge - parts.redone);
    add(use.from, up, parts.waiting, &SpendHour::waiting);
    add(up, kept, use.charge - parts.waiting - parts.redone, &SpendHour::useful);
    add(kept, use.to, parts.redone, &SpendHour::redone);
  }

  Spend spend_;
};

// What was in vain in each attempt; of the first that is remembered only when it was the first.
std::map<AttemptNumber, InVain> in_vain_by_attempt(const JobView& job) {
  std::map<AttemptNumber, InVain> out;
  InVain before;
  for (const core::EndedAttempt& one : job.attempts) {
    if (!out.empty() || one.attempt <= 1)
      out[one.attempt] = {one.gang_wait - before.waiting, one.wasted - before.redone};
    before = {one.gang_wait, one.wasted};
  }
  // The one that runs, or that completed.
  out.try_emplace(job.attempt, InVain{job.gang_wait - before.waiting, job.wasted - before.redone});
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
    hours.add_job(std::move(of_job), in_vain_by_attempt(*view));
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
    hour.idle = std::max(Charge{}, hour.idle - hour.useful - hour.waiting - hour.redone);
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
