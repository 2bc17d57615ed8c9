// Gangs: all seats at once or none; prepared, launched, up; when one member goes, the attempt
// breaks off, and the next one goes on from the last whole checkpoint once every seat of it is
// released.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"
#include "coordinator/policy/gang_placement.h"

namespace overwinter::core {
namespace {

using ledger::Charge;
using ledger::charge_for;

constexpr std::uint32_t kStallsMax = 2;  // without a checkpoint in between

// How much an end tells of what went wrong: the seat that failed, before one that was lost, before
// those that ended because of it.
int weight(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFailed:
      return 5;
    case SeatEnd::kRefused:
      return 4;
    case SeatEnd::kLost:
      return 3;
    case SeatEnd::kLeaving:
    case SeatEnd::kFundsEnded:
      return 2;
    case SeatEnd::kPeerLost:
      return 1;
    case SeatEnd::kFinished:
    case SeatEnd::kCompleted:
      return 0;
  }
  return 0;
}

Cause cause_of(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFailed:
    case SeatEnd::kRefused:
      return Cause::kFailure;
    case SeatEnd::kLeaving:
    case SeatEnd::kFinished:
      return Cause::kDrain;
    case SeatEnd::kFundsEnded:
      return Cause::kBudget;
    case SeatEnd::kLost:
    case SeatEnd::kPeerLost:
    case SeatEnd::kCompleted:
      return Cause::kWorkerLost;
  }
  return Cause::kWorkerLost;
}

// A gang that has lost a member can save nothing together; one that is moved can.
bool is_gentle(Cause cause) {
  return cause == Cause::kDrain || cause == Cause::kBudget;
}

std::string from_where(const Job& job) {
  return job.checkpoint_step ? "step " + std::to_string(*job.checkpoint_step) : "the start";
}

}  // namespace

bool outweighs(SeatEnd a, SeatEnd b) {
  return weight(a) > weight(b);
}

// ---- placed

// What gangs of other projects take: by worker, and by network unless all there share it.
void Engine::mark_taken(const Job& job, std::vector<policy::Candidate>& candidates) const {
  std::set<WorkerId> workers;
  std::map<std::string_view, bool> networks;  // -> all workers of those gangs there share it
  for (const auto& [id, host] : state_.workers) {
    const bool taken = std::any_of(host.seats.begin(), host.seats.end(), [&](const SeatKey& key) {
      const Job& other = this->job(key.job);
      return other.gang() && other.project != job.project;
    });
    if (!taken) continue;
    workers.insert(id);
    if (host.machine.network.empty()) continue;
    const auto [at, added] = networks.try_emplace(host.machine.network, true);
    at->second = at->second && host.machine.shared_network;
  }
  if (planted(Bug::kGangsOfProjectsMixed)) return;
  for (policy::Candidate& c : candidates) {
    c.other_project = workers.contains(c.worker);
    const auto at = networks.find(c.network);
    if (c.network.empty() || at == networks.end()) continue;
    c.network_taken = !(at->second && worker(c.worker).machine.shared_network);
  }
}

// The longest funding, the same for all seats, that what is left of the cap pays; absent: none.
std::optional<Duration> Engine::gang_funding(const Job& job,
                                             const std::vector<policy::Score>& seats) const {
  const Duration stop = job.demand.stop_time;
  const Duration least = config_.funding_min + stop;
  const auto left = room(job);
  if (!left) return std::max(config_.funding_uncapped, least);
  ledger::Int128 per_ms = 0;
  for (const policy::Score& s : seats) {
    const Worker& host = worker(s.worker);
    const auto size = policy::seat_size(job.demand, host.machine.devices[s.device]);
    per_ms += charge_for(price_now(host, s.device), Duration(1), size.share_ppm).units;
  }
  const Duration most = config_.funding_capped + stop;
  if (per_ms <= 0) return most;
  const ledger::Int128 lasting = left->units / per_ms;
  if (lasting < least.count()) return std::nullopt;
  const ledger::Int128 half = lasting / 2;
  return half >= most.count() ? most : std::max(least, Duration(static_cast<std::int64_t>(half)));
}

bool Engine::try_place_gang(JobId id) {
  const Job& placed = job(id);
  if (placed.state != JobState::kQueued || !placed.seats.empty()) return false;
  std::set<WorkerId> hosts;
  for (const policy::Score& s : open_) hosts.insert(s.worker);
  for (const WorkerId host : hosts) cut_if_due(host);
  std::vector<policy::Candidate> candidates;
  for (const policy::Score& s : open_) {
    candidates.push_back(candidate_for(placed, worker(s.worker), s.device));
  }
  mark_taken(placed, candidates);
  const policy::Want want{&placed.demand, placed.project};
  policy::GangChoice choice = policy::choose_gang(want, candidates);
  JobSoft& soft = job_soft(placed);
  if (choice.seats.empty()) {
    if (soft.avoid.empty() || !open_to_avoided(placed)) return false;
    soft.avoid.clear();
    avoiding_.erase(id);
    return try_place_gang(id);
  }
  const std::size_t per_worker = std::max(1U, placed.demand.seats_per_worker);
  const std::size_t least = std::max<std::size_t>(per_worker, placed.demand.seats_min);
  auto funding = gang_funding(placed, choice.seats);
  while (!funding && choice.seats.size() >= least + per_worker) {
    choice.seats.resize(choice.seats.size() - per_worker);
    funding = gang_funding(placed, choice.seats);
  }
  if (!funding) {
    out_of_budget(id);
    return false;
  }
  if (planted(Bug::kGangHalfPlaced) && choice.seats.size() > 1) choice.seats.pop_back();
  set_state(id, JobState::kStarting, Cause::kNone,
            placed.checkpoint_step ? "preparing its workers; it goes on from " + from_where(placed)
                                   : "preparing its workers",
            0, placed.attempt + 1);
  for (const policy::Score& s : choice.seats) grant(job(id), s.worker, s.device, *funding);
  JobSoft& started = job_soft(job(id));
  started.launched = false;
  started.active_at = now_;
  started.first_step = started.step = job(id).checkpoint_step.value_or(0);
  arm_stall(job(id));
  update_waiting(id);
  return true;
}

// ---- prepared, launched, up

void Engine::report(WorkerId worker, const SeatPrepared& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr || !job(report.seat.job).gang()) return;
  SeatSoft& soft = seat_soft(report.seat);
  soft.phase = std::max(soft.phase, GangPhase::kPrepared);
  job_soft(job(report.seat.job)).active_at = now_;
  touch(report.seat.job);
  advance_gang(report.seat.job);
}

void Engine::report(WorkerId worker, const LaunchFailed& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr || !job(report.seat.job).gang()) return;
  const Job& of = job(report.seat.job);
  if (report.unreachable.valid() && state_.find_worker(report.unreachable) != nullptr) {
    avoid(of, report.unreachable);
  }
  job_soft(of).launch_failure = report.message;
  break_attempt(of.id, Cause::kLaunch);
}

// What follows from how far its seats have come. Said again after a restart, so it is derived from
// their phases alone.
void Engine::advance_gang(JobId id) {
  const Job& of = job(id);
  if (of.state != JobState::kStarting || of.broken || of.seats.empty()) return;
  JobSoft& soft = job_soft(of);
  GangPhase least = GangPhase::kUp;
  GangPhase most = GangPhase::kNone;
  for (const auto& [number, seat] : of.seats) {
    const GangPhase phase = soft.seats[number].phase;
    least = std::min(least, phase);
    most = std::max(most, phase);
  }
  const TimerSet::Key start{TimerKind::kStart, id.value(), 0};
  if (least == GangPhase::kUp) {
    timers_.cancel(start);
    set_state(id, JobState::kRunning, Cause::kNone, "running");
    return;
  }
  const bool ready = planted(Bug::kGangLaunchedUnprepared) ? most >= GangPhase::kPrepared
                                                           : least >= GangPhase::kPrepared;
  if (ready && most == GangPhase::kPrepared && !soft.launched && soft.unresolved == 0) {
    soft.launched = true;
    launch(of);
  }
  if ((soft.launched || most >= GangPhase::kLaunched) && !timers_.has(start)) {
    timers_.set(start, now_ + of.demand.start_timeout);
  }
}

void Engine::launch(const Job& of) {
  LaunchGang order{of.id, of.attempt, {}, {}};
  for (const auto& [number, seat] : of.seats) {  // granted in the order of ranks
    const Worker& host = worker(seat.worker);
    order.members.push_back({seat.key, seat.worker, host.name, host.machine.host_id,
                             host.machine.peer_address, seat.device});
    order.incarnations.push_back(seat.incarnation);
  }
  effect(std::move(order));
}

void Engine::start_due(JobId id) {
  const Job* of = state_.find_job(id);
  if (of == nullptr || of->state != JobState::kStarting || of->broken) return;
  std::string late;
  JobSoft& soft = job_soft(*of);
  for (const auto& [number, seat] : of->seats) {
    if (soft.seats[number].phase == GangPhase::kUp) continue;
    late += (late.empty() ? "" : ", ") + worker(seat.worker).name;
  }
  soft.launch_failure = "its ranks on " + late + " were not up " +
                        format_duration(of->demand.start_timeout) + " after the launch";
  break_attempt(id, Cause::kLaunch);
}

// ---- stalls

void Engine::arm_stall(const Job& of) {
  timers_.set({TimerKind::kStall, of.id.value(), 0},
              job_soft(of).active_at + of.demand.stall_timeout);
}

void Engine::stall_due(JobId id) {
  const Job* of = state_.find_job(id);
  if (of == nullptr || of->seats.empty()) return;
  if (of->state != JobState::kRunning && of->state != JobState::kStarting) return;
  JobSoft& soft = job_soft(*of);
  if (of->broken || soft.unresolved > 0) soft.active_at = now_;  // nobody could tell
  if (now_ < soft.active_at + of->demand.stall_timeout) {
    arm_stall(*of);
    return;
  }
  if (planted(Bug::kGangStallIgnored)) return;
  break_attempt(id, Cause::kStalled);
}

// ---- checkpoints

void Engine::on(const CheckpointStored& event) {
  const Job* of = state_.find_job(event.job);
  if (of == nullptr || of->terminal() || !of->gang()) return;
  // Written by an attempt that is over, it is as good; but an older step replaces none.
  if (event.attempt > of->attempt && !planted(Bug::kGangCheckpointOfNobody)) return;
  if (of->checkpoint_step && event.step <= *of->checkpoint_step) return;
  emit(CheckpointKept{event.job, event.attempt, event.step});
  JobSoft& soft = job_soft(*of);
  soft.active_at = now_;
  soft.step = std::max(soft.step, event.step);
  touch(event.job);
}

// ---- ends

// The attempt is over before the job: the rest of its seats go too. What ended it is known when all
// have said how they ended.
void Engine::break_attempt(JobId id, Cause cause) {
  const Job& of = job(id);
  if (of.broken || (of.state != JobState::kStarting && of.state != JobState::kRunning)) return;
  if (planted(Bug::kGangLossIgnored) && cause == Cause::kWorkerLost) return;
  emit(AttemptBroken{id, of.attempt, cause});
  timers_.cancel({TimerKind::kStart, id.value(), 0});
  set_state(
      id, JobState::kStarting, cause,
      "its attempt " + std::to_string(of.attempt) + " broke off; its other workers are stopping");
  std::vector<SeatKey> keys;
  for (const auto& [number, seat] : of.seats) keys.push_back(seat.key);
  for (const SeatKey key : keys) stop_seat(key, cause, !is_gentle(cause));
}

bool Engine::ends_at_once(const Seat& stopping) const {
  return job(stopping.key.job).broken && !is_gentle(stopping.stop_cause);
}

// Before a gang's seat is released.
void Engine::gang_seat_ends(SeatKey key, SeatEnd end) {
  const Job& of = job(key.job);
  if (end == SeatEnd::kCompleted) return;
  if (of.state == JobState::kStopping && end != SeatEnd::kFinished) {
    // One that ends otherwise leaves the others nothing to finish together.
    for (const auto& [number, seat] : of.seats) {
      if (number != key.number) stop_seat(seat.key, of.cause, true);
    }
    return;
  }
  break_attempt(key.job, cause_of(end));
}

// What the next attempt does again: the use of this seat since the last whole checkpoint.
Charge Engine::wasted_by(const Job& of, const Seat& seat, Duration used) const {
  if (!of.broken || planted(Bug::kGangWasteForgotten)) return {};
  Duration kept{0};
  if (of.checkpoint_step && of.checkpoint_at > seat.granted_at) {
    kept = of.checkpoint_at - seat.granted_at;
  }
  const Duration lost = std::max(Duration(0), used - kept);
  // A rise of the price since then makes no more of it than was paid.
  return std::min(seat.charged, charge_for(seat.device_price_per_hour, lost, seat.share_ppm));
}

// Its last seat is released, and nobody had asked the job to stop.
void Engine::gang_attempt_over(JobId id) {
  const Job& of = job(id);
  if (!of.gang_workers.empty() && of.seats_finished == of.gang_workers.size()) {
    emit(UnitsDone{id, UnitRanges(UnitRange{0, of.demand.units}), {}});
    finish(id);
    return;
  }
  if (!of.broken) emit(AttemptBroken{id, of.attempt, Cause::kWorkerLost});
  timers_.cancel({TimerKind::kStall, id.value(), 0});
  const Culprit& culprit = of.culprit;
  JobSoft& soft = job_soft(of);
  AttemptEnded ended{id,           of.attempt,     of.broken_cause,
                     culprit.seat, culprit.worker, soft.step,
                     false,        culprit.exit,   {}};
  if (outweighs(culprit.end, SeatEnd::kLost)) ended.cause = Cause::kFailure;
  ended.counts = ended.cause == Cause::kFailure || ended.cause == Cause::kLaunch;
  if (planted(Bug::kGangRetriesNotCounted)) ended.counts = false;
  const Worker* host = state_.find_worker(culprit.worker);
  const std::string where = host == nullptr ? std::string() : " on " + host->name;
  switch (ended.cause) {
    case Cause::kLaunch:
      ended.reason = soft.launch_failure.empty() ? "it could not be launched" : soft.launch_failure;
      break;
    case Cause::kStalled:
      ended.reason = "no step, checkpoint or output for " +
                     format_duration(of.demand.stall_timeout) +
                     (soft.launched ? " after step " + std::to_string(soft.step)
                                    : " while its workers were prepared");
      break;
    default:
      ended.reason = (culprit.message.empty() ? "a member ended" : culprit.message);
      // Workers speak in sentences; this one goes on.
      if (ended.reason.ends_with('.')) ended.reason.pop_back();
      ended.reason += where;
  }
  const bool progress = of.checkpoint_attempt == of.attempt || soft.step > soft.first_step;
  const bool refused = culprit.end == SeatEnd::kRefused;
  if (refused && culprit.worker.valid()) avoid(of, culprit.worker);
  const bool final_at_once =
      ended.cause == Cause::kFailure && !refused && (!progress || culprit.exit.repeats);
  emit(ended);
  touch(id);
  if (final_at_once || of.failures > of.demand.retries) {
    stop_job(
        id, Cause::kFailure,
        ended.reason + (culprit.exit.repeats ? "; it would end so again"
                        : final_at_once      ? "; its attempt made no step and no checkpoint"
                                        : "; it failed " + std::to_string(of.failures) + " times"),
        0);
    return;
  }
  if (of.stalls >= kStallsMax) {
    stop_job(id, Cause::kFailure, ended.reason + ", for the second time", 0);
    return;
  }
  if (broke(of)) {
    out_of_budget(id);
    return;
  }
  set_state(id, JobState::kQueued, ended.cause,
            ended.reason + "; it starts again from " + from_where(of));
  update_waiting(id);
  eager_.insert(id);
}

}  // namespace overwinter::core
