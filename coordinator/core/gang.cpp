// Gangs: all seats at once or none; then prepared, launched, up, and watched for stalls. How an
// attempt ends: gang_end.cpp.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"
#include "coordinator/policy/gang_placement.h"

namespace overwinter::core {

std::string Engine::from_where(const Job& job) {
  return job.checkpoint_step ? "step " + std::to_string(*job.checkpoint_step) : "the start";
}

// ---- placed

// What gangs of other projects take.
void Engine::mark_taken(const Job& job, std::vector<policy::Candidate>& candidates) const {
  if (planted(Bug::kGangsOfProjectsMixed)) return;
  std::vector<policy::TakenWorker> taken;
  for (const auto& [id, host] : state_.workers) {
    const bool is_taken =
        std::any_of(host.seats.begin(), host.seats.end(), [&](const SeatKey& key) {
          const Job& other = this->job(key.job);
          return other.gang() && other.project != job.project;
        });
    if (is_taken) taken.push_back({id, host.machine.network, host.machine.shared_network});
  }
  policy::mark_taken(taken, candidates);
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
    per_ms += ledger::charge_for(price_now(host, s.device), Duration(1), size.share_ppm).units;
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
            0, fresh_attempt(placed));
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

}  // namespace overwinter::core
