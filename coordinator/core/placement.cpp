// Seats for jobs: what became free in a step meets what waits, at the step's end. The choice itself
// is policy's; here are the indexes that keep it from looking at everything.
#include "coordinator/policy/placement.h"

#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

constexpr Duration kWaitedLong{60'000};   // then a device is kept free for a job
constexpr std::size_t kReplansMax = 100;  // a change of workers

bool wants_more(const Job& job, const JobSoft& soft) {
  return !job.gang() && (job.state == JobState::kRunning || job.state == JobState::kStarting) &&
         job.seats.size() < job.demand.seats_max && !soft.pool.empty();
}

}  // namespace

policy::Candidate Engine::candidate(const Worker& worker, DeviceIndex device) const {
  policy::Candidate c;
  c.worker = worker.id;
  c.index = device;
  c.worker_name = worker.name;
  const auto soft = soft_.workers.find(worker.id);
  const bool connected = soft != soft_.workers.end() && soft->second.connected;
  const bool leaving = connected && soft->second.leaving;
  switch (worker.state) {
    case WorkerState::kJoined:
      c.not_ready = "has never connected";
      break;
    case WorkerState::kReady:
      c.not_ready = leaving ? "is shutting down" : connected ? "" : "is not connected";
      break;
    case WorkerState::kDraining:
      c.not_ready = "is draining";
      break;
    case WorkerState::kLost:
      c.not_ready = "is lost";
      break;
    case WorkerState::kRemoved:
      c.not_ready = "is removed";
      break;
  }
  c.projects = &worker.projects;
  c.spot = worker.spot;
  policy::describe(worker.machine, device, c);
  c.memory_used = worker.use[device].memory_bytes;
  c.threads_used = worker.use[device].threads;
  c.share_used_ppm = worker.use[device].share_ppm;
  if (planted(Bug::kSharesAboveOne)) c.share_used_ppm = c.threads_used = 0;
  c.price_per_hour = price_now(worker, device);
  return c;
}

policy::Candidate Engine::candidate_for(const Job& job, const Worker& worker,
                                        DeviceIndex device) const {
  policy::Candidate c = candidate(worker, device);
  if (const auto soft = soft_.jobs.find(job.id); soft != soft_.jobs.end()) {
    c.avoided = soft->second.avoid.contains(worker.id);
  }
  if (const auto held = kept_free_.find({worker.id, device}); held != kept_free_.end()) {
    c.held = policy::rank(this->job(held->second).demand, held->second, false) <
             policy::rank(job.demand, job.id, job.state != JobState::kQueued);
  }
  return c;
}

const Engine::Eligible& Engine::eligible(const Demand& demand, const std::string& project) {
  constexpr std::size_t kShapesMax = 10'000;
  if (eligible_.size() > kShapesMax) eligible_.clear();
  Eligible& found = eligible_[shape_of(demand, project)];
  if (found.epoch == epoch_) return found;
  found = {false, {}, epoch_};
  const policy::Want want{&demand, project};
  for (const auto& [id, worker] : state_.workers) {
    if (worker.state == WorkerState::kRemoved) continue;
    for (DeviceIndex d = 0; d < worker.machine.devices.size(); ++d) {
      const policy::Candidate c = candidate(worker, d);
      if (!policy::could_hold(want, c).fits()) continue;
      const ledger::Charge per_ms = ledger::charge_for(
          c.price_per_hour, Duration(1), policy::seat_size(demand, *c.device).share_ppm);
      found.per_ms = found.exists ? std::min(found.per_ms, per_ms) : per_ms;
      found.exists = true;
    }
  }
  return found;
}

// Its devices, prices or projects are new, or it is gone.
void Engine::workers_changed(WorkerId id) {
  ++epoch_;
  update_slots(id);
  if (unfit_.size() == 0) return;
  const Worker& changed = worker(id);
  std::vector<JobId> fit;
  for (const auto& [shape, ranks] : unfit_.groups()) {
    const Job& first = job(ranks.begin()->job);
    if (!eligible(first.demand, first.project).exists) continue;
    for (const policy::Rank& rank : ranks) fit.push_back(rank.job);
  }
  for (const JobId job : fit) {
    update_waiting(job);
    eager_.insert(job);
  }
  if (changed.state == WorkerState::kRemoved) return;
  std::size_t asked = 0;
  for (const auto& [shape, ranks] : unfit_.groups()) {
    for (const policy::Rank& rank : ranks) {
      if (job(rank.job).attempt != 0) continue;
      if (asked++ >= kReplansMax) return;
      effect(Replan{rank.job});
    }
  }
}

void Engine::update_slots(WorkerId id) {
  const Worker& host = worker(id);
  auto& slots = slots_[id];
  const std::size_t devices = host.machine.devices.size();
  for (std::size_t d = devices; d < slots.size(); ++d) {
    if (slots[d]) open_.erase(*slots[d]);
  }
  slots.resize(devices);
  for (DeviceIndex d = 0; d < devices; ++d) {
    const policy::Candidate c = candidate(host, d);
    std::optional<policy::Score> score;
    if (c.not_ready.empty() && c.share_used_ppm < 1'000'000) score = policy::score(c);
    if (score == slots[d]) continue;
    if (slots[d]) open_.erase(*slots[d]);
    if (score) {
      open_.insert(*score);
      freed_.insert({id, d});
    }
    slots[d] = score;
  }
}

void Engine::update_waiting(JobId id) {
  const Job& changed = job(id);
  const bool queued = changed.state == JobState::kQueued;
  const auto soft = soft_.jobs.find(id);
  const bool growing = soft != soft_.jobs.end() && wants_more(changed, soft->second);
  if (!queued && !growing) {
    waiting_.remove(id);
    unfit_.remove(id);
    return;
  }
  const Shape shape = shape_of(changed.demand, changed.project);
  const policy::Rank rank = policy::rank(changed.demand, id, growing);
  if (growing || eligible(changed.demand, changed.project).exists) {
    unfit_.remove(id);
    waiting_.put(shape, rank);
  } else {
    waiting_.remove(id);
    unfit_.put(shape, rank);
  }
}

void Engine::start_attempt(JobId id) {
  const Job& starting = job(id);
  effect(PrepareResult{id, starting.project, starting.spec, starting.plan});
  set_state(id, JobState::kStarting, Cause::kNone, "its first seats are granted", 0,
            fresh_attempt(starting));
}

// Finds room over all open devices, best first. True when it got at least one seat.
bool Engine::try_place(JobId id) {
  const Job& placed = job(id);
  if (placed.gang()) return try_place_gang(id);
  const bool queued = placed.state == JobState::kQueued;
  if (!queued && !wants_more(placed, job_soft(placed))) return false;
  const std::uint64_t useful =
      queued ? placed.units_left()
             : std::min(job_soft(placed).pool.count(),
                        std::uint64_t{placed.demand.seats_max - placed.seats.size()});
  const std::uint64_t most = std::min<std::uint64_t>(placed.demand.seats_max, useful);
  const std::uint64_t least = queued ? std::clamp<std::uint64_t>(placed.demand.seats_min, 1,
                                                                 std::max<std::uint64_t>(1, most))
                                     : 1;
  const policy::Want want{&placed.demand, placed.project};
  std::vector<std::pair<WorkerId, DeviceIndex>> picks;
  for (auto it = open_.begin(); it != open_.end() && picks.size() < most; ++it) {
    policy::Candidate c = candidate_for(placed, worker(it->worker), it->device);
    while (picks.size() < most && policy::can_hold(want, c).fits()) {
      picks.emplace_back(c.worker, c.index);
      const policy::SeatSize size = policy::seat_size(placed.demand, *c.device);
      c.memory_used += size.memory_bytes;
      c.threads_used += size.threads;
      c.share_used_ppm += size.share_ppm;
    }
  }
  if (picks.size() < least) {
    if (!job_soft(placed).avoid.empty() && open_to_avoided(placed)) {
      job_soft(placed).avoid.clear();
      avoiding_.erase(id);
      return try_place(id);
    }
    note_unfunded(placed, false);
    return false;
  }
  if (queued && broke(placed)) {
    out_of_budget(id);
    return false;
  }
  bool any = false;
  for (const auto& [worker_id, device] : picks) {
    if (!place_on(id, worker_id, device)) break;
    any = true;
  }
  if (!any &&
      queued) {  // a lower price an hour may cost more by a larger share: any that it can pay
    const std::vector<policy::Score> scores(open_.begin(), open_.end());
    for (const policy::Score& s : scores) {
      any = any || place_on(id, s.worker, s.device);
    }
  }
  if (!any && !job_soft(placed).avoid.empty()) {
    // What is left of its cap does not pay for these; a cheaper worker on which it failed may.
    job_soft(placed).avoid.clear();
    avoiding_.erase(id);
    return try_place(id);
  }
  note_unfunded(placed, queued && !any);
  update_waiting(id);
  return any;
}

void Engine::note_unfunded(const Job& job, bool unfunded) {
  JobSoft& soft = job_soft(job);
  if (soft.unfunded == unfunded) return;
  soft.unfunded = unfunded;
  touch(job.id);
}

// One seat there, if it fits and can be paid.
bool Engine::place_on(JobId id, WorkerId worker_id, DeviceIndex device) {
  const Job& placed = job(id);
  cut_if_due(worker_id);
  const policy::Candidate c = candidate_for(placed, worker(worker_id), device);
  if (!policy::can_hold({&placed.demand, placed.project}, c).fits()) return false;
  const policy::SeatSize size = policy::seat_size(placed.demand, *c.device);
  const auto funding = first_funding(placed, c.price_per_hour, size.share_ppm, placed.seats.size());
  if (!funding) return false;
  if (placed.state == JobState::kQueued) start_attempt(id);
  grant(job(id), worker_id, device, *funding);
  return true;
}

void Engine::place() {
  std::vector<policy::Rank> eager;
  for (const JobId id : std::exchange(eager_, {})) {
    if (!waiting_.contains(id)) continue;
    eager.push_back(policy::rank(job(id).demand, id, job(id).state != JobState::kQueued));
  }
  std::sort(eager.begin(), eager.end());
  for (const policy::Rank& rank : eager) {
    if (!waiting_.contains(rank.job)) continue;
    const Job& next = job(rank.job);
    // Behind another of its kind that found no room: neither would this one.
    const auto group = waiting_.groups().find(shape_of(next.demand, next.project));
    const policy::Rank& first = *group->second.begin();
    if (first.job != rank.job && first.growing == 0) continue;
    try_place(rank.job);
  }
  while (!freed_.empty()) {  // one that starts lets go of what was kept free for it
    for (const auto& [worker_id, device] : std::exchange(freed_, {})) fill(worker_id, device);
  }
  // Once all are granted, so that the first does not take what is for the others too.
  for (const SeatKey key : std::exchange(granted_, {})) refill(key);
}

// Gives a device that has room to those that wait, best first, as long as something fits.
void Engine::fill(WorkerId worker_id, DeviceIndex device) {
  const auto is_open = [&] {
    const auto& slots = slots_[worker_id];
    return device < slots.size() && slots[device].has_value();
  };
  auto next = waiting_.heads().begin();
  while (is_open() && next != waiting_.heads().end()) {
    const policy::Rank rank = next->first;
    const Job& head = job(rank.job);
    const bool queued = head.state == JobState::kQueued;
    if (!queued && !wants_more(head, job_soft(head))) {
      update_waiting(rank.job);
      next = waiting_.heads().upper_bound(rank);
      continue;
    }
    const policy::Candidate c = candidate_for(head, worker(worker_id), device);
    const policy::Verdict now_fits = policy::can_hold({&head.demand, head.project}, c);
    if (now_fits.why == policy::Why::kAvoided && open_to_avoided(head)) {
      soft_.jobs[rank.job].avoid.clear();
      avoiding_.erase(rank.job);
      continue;
    }
    if (now_fits.fits() && (queued ? try_place(rank.job) : place_on(rank.job, worker_id, device))) {
      update_waiting(rank.job);
      next = waiting_.heads().begin();
      continue;
    }
    if (queued && now_fits.why != policy::Why::kAvoided && now_ - head.state_at >= kWaitedLong &&
        policy::could_hold({&head.demand, head.project}, c).fits() && !holds_enough(head)) {
      kept_free_[{worker_id, device}] = rank.job;
      return;
    }
    next = waiting_.heads().upper_bound(rank);
  }
}

// The workers on which its work did not fail could never give it the seats that it needs: then the
// others may try again.
bool Engine::open_to_avoided(const Job& job) const {
  const JobSoft& soft = soft_.jobs.find(job.id)->second;
  const policy::Want want{&job.demand, job.project};
  const std::uint64_t least = std::min<std::uint64_t>(job.demand.seats_min, job.units_left());
  std::uint64_t found = 0;
  for (const auto& [id, worker] : state_.workers) {
    if (worker.state != WorkerState::kReady || soft.avoid.contains(id)) continue;
    for (DeviceIndex d = 0; d < worker.machine.devices.size(); ++d) {
      policy::Candidate c = candidate(worker, d);
      c.memory_used = c.threads_used = c.share_used_ppm = 0;
      c.not_ready = {};
      const policy::SeatSize size = policy::seat_size(job.demand, *c.device);
      while (policy::can_hold(want, c).fits()) {
        if (++found >= least) return false;
        c.memory_used += size.memory_bytes;
        c.threads_used += size.threads;
        c.share_used_ppm += size.share_ppm;
      }
    }
  }
  return true;
}

void Engine::avoid(const Job& job, WorkerId worker) {
  job_soft(job).avoid.insert(worker);
  avoiding_.insert(job.id);
}

bool Engine::holds_enough(const Job& job) const {
  const auto count = std::count_if(kept_free_.begin(), kept_free_.end(),
                                   [&](const auto& held) { return held.second == job.id; });
  return std::cmp_greater_equal(count, job.demand.seats_min);
}

// What was kept free for it is for others.
void Engine::let_go(JobId id) {
  std::erase_if(kept_free_, [&](const auto& held) {
    if (held.second != id) return false;
    freed_.insert(held.first);
    return true;
  });
}

}  // namespace overwinter::core
