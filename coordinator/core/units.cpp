// Units: handed out in ranges, landed once (ARCHITECTURE §1, §3). What is out where is soft.
//
// Sizes: guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers, 1987):
// a range is a 2n-th of what is left for n seats, so that ranges shrink towards the end; two are
// queued at each seat, so that it never waits for the next. When nothing is left, an idle seat gets
// the rest of the slowest.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

constexpr std::size_t kRejectionsMax = 3;  // of one unit, on as many workers

}  // namespace

JobSoft& Engine::job_soft(const Job& job) {
  const auto [it, added] = soft_.jobs.try_emplace(job.id);
  if (added) {
    it->second.pool = job.done.complement(job.demand.units);
    // Seats that nobody has spoken of yet: what they hold is unknown until their worker returns.
    for (const auto& [number, seat] : job.seats) it->second.seats.try_emplace(number);
    it->second.unresolved = static_cast<std::uint32_t>(job.seats.size());
  }
  return it->second;
}

bool Engine::hands_out(const Job& job) const {
  if (job.gang()) return false;
  return job.state == JobState::kStarting || job.state == JobState::kRunning ||
         (job.state == JobState::kStopping && job.cause == Cause::kBudget);
}

void Engine::hand_out(const Seat& seat, SeatSoft& soft, UnitRanges units) {
  soft.out.add(units);
  effect(HandOutUnits{seat.key, seat.worker, seat.incarnation, std::move(units)});
}

void Engine::refill(SeatKey key) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr || seat->stopping) return;
  const Job& of = job(key.job);
  JobSoft& all = job_soft(of);
  SeatSoft& soft = all.seats[key.number];
  if (!(soft.began || soft.offered) || !hands_out(of) || all.unresolved > 0) return;
  const std::uint64_t range =
      std::clamp<std::uint64_t>(all.pool.count() / (2 * of.seats.size()), 1,
                                std::max<std::uint64_t>(1, of.demand.units_per_range_max));
  // One range travels with the offer; the second follows when the seat has begun.
  const std::uint64_t wanted = soft.began ? 2 * range : range;
  if (soft.out.count() > range || soft.out.count() >= wanted) return;
  if (!all.pool.empty()) {
    hand_out(*seat, soft, all.pool.take_front(wanted - soft.out.count()));
    if (all.pool.empty()) update_waiting(of.id);
    return;
  }
  if (!soft.began || !soft.out.empty() || hand_out_rest(of, *seat, soft)) return;
  stop_seat(key, Cause::kDone);  // nothing is left for it: it need not cost
}

void Engine::refill_all(JobId id) {
  const Job& of = job(id);
  std::vector<SeatKey> keys;
  keys.reserve(of.seats.size());
  for (const auto& [number, seat] : of.seats) keys.push_back(seat.key);
  for (const SeatKey key : keys) refill(key);
}

// An idle seat helps the one that would need longest, from the back of its rest; each unit is held
// by two at most.
bool Engine::hand_out_rest(const Job& job, const Seat& seat, SeatSoft& soft) {
  JobSoft& all = soft_.jobs[job.id];
  const UnitRanges* slowest = nullptr;
  std::int64_t longest = -1;
  for (const auto& [number, other] : all.seats) {
    UnitRanges rest = other.out;
    rest.remove(all.doubled);
    if (rest.empty()) continue;
    const std::int64_t since = std::max<std::int64_t>(1, (now_ - other.began_at).count());
    const auto done = static_cast<std::int64_t>(std::max<std::uint64_t>(1, other.landed));
    const std::int64_t left = static_cast<std::int64_t>(rest.count()) * since / done;
    if (left > longest) {
      longest = left;
      slowest = &other.out;
    }
  }
  if (slowest == nullptr) return false;
  UnitRanges rest = *slowest;
  rest.remove(all.doubled);
  const std::uint64_t most = std::max<std::uint64_t>(1, job.demand.units_per_range_max);
  UnitRanges units = rest.take_back(std::min(most, (rest.count() + 1) / 2));
  all.doubled.add(units);
  hand_out(seat, soft, std::move(units));
  return true;
}

// What a released seat held goes back to the pool, unless another holds it too.
void Engine::take_back(const Job& job, std::uint32_t number, const UnitRanges& units) {
  JobSoft& all = soft_.jobs[job.id];
  UnitRanges back = units;
  back.remove(job.done);
  if (!back.intersection(all.doubled).empty()) {
    for (const auto& [other, soft] : all.seats) {
      if (other != number) back.remove(soft.out);
    }
    all.doubled.remove(units);
  }
  all.pool.add(back);
}

void Engine::units_done(const Seat& seat, const UnitRanges& reported) {
  const SeatKey key = seat.key;
  const JobId id = key.job;
  const Job& of = job(id);
  JobSoft& all = job_soft(of);
  UnitRanges units = reported.intersection(UnitRanges(UnitRange{0, of.demand.units}));
  SeatSoft& soft = all.seats[key.number];
  soft.out.remove(units);
  if (!planted(Bug::kUnitDoneTwice)) units.remove(of.done);
  if (units.empty()) {
    refill(key);
    return;
  }
  emit(UnitsDone{id, units, key});
  touch(id);
  soft.landed += units.count();
  all.pool.remove(units);
  std::vector<SeatKey> relieved;
  if (!all.doubled.intersection(units).empty()) {
    for (auto& [number, other] : all.seats) {
      UnitRanges both = other.out.intersection(units);
      if (number == key.number || both.empty()) continue;
      other.out.remove(both);
      const Seat& holder = of.seats.find(number)->second;
      effect(ReclaimUnits{holder.key, holder.worker, holder.incarnation, std::move(both)});
      relieved.push_back(holder.key);
    }
    all.doubled.remove(units);
  }
  if (of.state == JobState::kStarting) set_state(id, JobState::kRunning, Cause::kNone, "running");
  progressed(key);
  if (of.all_done() && !(of.state == JobState::kStopping &&
                         (of.cause == Cause::kDone || of.cause == Cause::kCancelled))) {
    finish(id);
    return;
  }
  refill(key);
  for (const SeatKey other : relieved) refill(other);
}

// Only a seat that is held now makes units done: what a released or an old one delivers is ignored,
// verified or not, so that there is one rule for all (README, Decisions).
void Engine::on(const UnitsLanded& event) {
  const Job* of = state_.find_job(event.seat.job);
  if (of == nullptr || of->terminal() || of->demand.landing != Landing::kArtifact) return;
  const Seat* seat = state_.find_seat(event.seat);
  if (seat == nullptr && planted(Bug::kAttemptCheckDropped)) {
    UnitRanges units = event.units;
    units.remove(of->done);
    if (!units.empty()) emit(UnitsDone{of->id, units, event.seat});
    return;
  }
  if (seat == nullptr || seat->worker != event.worker || seat->key.attempt != of->attempt) return;
  units_done(*seat, event.units);
}

void Engine::on(const UnitRejected& event) {
  const Worker* liar = state_.find_worker(event.worker);
  if (liar == nullptr || liar->state == WorkerState::kRemoved) return;
  const Seat* seat = state_.find_seat(event.seat);
  const bool held = seat != nullptr && seat->worker == event.worker;
  if (held) {
    const Job& of = job(event.seat.job);
    JobSoft& all = job_soft(of);
    avoid(of, event.worker);
    SeatSoft& soft = all.seats[event.seat.number];
    UnitRanges unit(UnitRange{event.unit, event.unit + 1});
    if (soft.out.contains(event.unit)) {
      soft.out.remove(unit);
      take_back(of, event.seat.number, unit);
    }
    auto& workers = all.rejected[event.unit];
    workers.insert(event.worker);
    if (workers.size() >= kRejectionsMax &&
        (of.state == JobState::kRunning || of.state == JobState::kStarting)) {
      stop_job(of.id, Cause::kFailure,
               "unit " + std::to_string(event.unit) + " was wrong on " +
                   std::to_string(workers.size()) + " workers, last on " + liar->name + ": " +
                   event.message,
               0);
    }
  }
  drain(
      event.worker,
      "a result of it failed its check (unit " + std::to_string(event.unit) + "): " + event.message,
      0, false);
  if (held) {
    update_waiting(event.seat.job);
    eager_.insert(event.seat.job);
    refill_all(event.seat.job);
  }
}

// Said before the first tile is checked; said again at each start of the job while it is true.
void Engine::on(const ResultRefused& event) {
  const Job* found = state_.find_job(event.job);
  if (found == nullptr) return;
  if (found->state != JobState::kStarting && found->state != JobState::kRunning) return;
  stop_job(event.job, Cause::kNoRoom,
           event.message + "; when there is room: overwinter jobs resume " + found->name, 0);
}

}  // namespace overwinter::core
