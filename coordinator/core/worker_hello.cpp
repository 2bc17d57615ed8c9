// A worker says Hello, is welcomed or refused, and speaks: what it holds and what is thought of it
// are brought together.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

std::optional<Status> Engine::refusal(const WorkerHello& event, const Worker* known) const {
  if (known == nullptr) {
    return error(Code::kNotFound, "worker " + std::to_string(event.worker.value()) +
                                      " is not known to this cluster");
  }
  if (known->state == WorkerState::kRemoved) {
    return error(Code::kPermissionDenied, "worker " + known->name + " was removed", {},
                 "join again with a new join file and an empty --data-dir");
  }
  const auto soft = soft_.workers.find(event.worker);
  const bool connected = soft != soft_.workers.end() && soft->second.connected;
  if (event.incarnation < known->incarnation && !planted(Bug::kIncarnationCheckDropped)) {
    return error(Code::kFailedPrecondition,
                 "a newer daemon (incarnation " + std::to_string(known->incarnation.value()) +
                     ") of worker " + known->name + " has been here; this is " +
                     std::to_string(event.incarnation.value()));
  }
  if (event.incarnation != known->incarnation && connected) {
    return error(Code::kAlreadyExists,
                 "worker " + known->name + " is connected with incarnation " +
                     std::to_string(known->incarnation.value()) + "; this daemon (" +
                     std::to_string(event.incarnation.value()) + ") has the same certificate",
                 {}, "stop one of the two daemons");
  }
  return std::nullopt;
}

void Engine::on(const WorkerHello& event) {
  const Worker* known = state_.find_worker(event.worker);
  if (auto status = refusal(event, known)) {
    effect(RefuseWorker{event.worker, event.incarnation, std::move(*status)});
    return;
  }
  const bool same = known->incarnation == event.incarnation;
  if (!same) {
    lose_seats(event.worker, "the daemon of " + known->name + " was started anew");
    if (auto status = refusal(event, known)) {  // with its last seat a leaving worker is removed
      effect(RefuseWorker{event.worker, event.incarnation, std::move(*status)});
      return;
    }
  }
  WorkerSoft& soft = soft_.workers[event.worker];
  soft.connected = true;
  soft.leaving = false;
  soft.last_sign = now_;
  soft.hello_last_report = event.last_report;
  soft.offer_after_reports.clear();
  WorkerHello here = event;
  std::vector<SeatKey> strangers;
  if (event.of_other_generation) {
    for (const SeatStatus& status : event.seats) strangers.push_back(status.seat);
    here.seats.clear();
  }
  for (const SeatStatus& status : here.seats) hear(event.worker, status);
  const bool other_devices = known->machine.devices != event.machine.devices;
  const bool keeps = other_devices && !known->seats.empty();  // changes when its seats have ended
  if (!same || (known->machine != event.machine && !keeps)) {
    if (other_devices && !known->machine.devices.empty()) {
      cut_if_due(event.worker);
      charge_machine(event.worker, now_);
    }
    emit(WorkerConnected{event.worker, event.incarnation, event.machine});
    arm_cut(event.worker);  // its price is known from here on, whatever its state
    workers_changed(event.worker);
  }
  // Its reports until now are of the other one too: taken as read, so that the next one counts.
  if (event.of_other_generation) {
    emit(ReportsProcessed{event.worker, event.incarnation, event.last_report});
  }
  touch(event.worker);
  returned(event.worker);
  welcome(here, std::move(strangers));
  update_slots(event.worker);
}

// READY again, and the grace of the others renewed.
void Engine::returned(WorkerId id) {
  const Worker& back = worker(id);
  WorkerSoft& soft = soft_.workers[id];
  if (!soft.returned && now_ < soft_.grace_until) {
    soft_.grace_until = std::max(soft_.grace_until, now_ + config_.lost_after);
  }
  soft.returned = true;
  if (back.state == WorkerState::kJoined || back.state == WorkerState::kLost) {
    if (back.state == WorkerState::kLost) {
      cut_if_due(id);
      charge_machine(id, now_);
    }
    const bool draining = back.draining;
    const bool removing = back.removing;
    set_worker(id, WorkerState::kReady, "connected");
    if (draining) set_worker(id, WorkerState::kDraining, "draining", 0, removing);
    arm_cut(id);
  }
  timers_.set({TimerKind::kLost, id.value()}, now_ + config_.lost_after);
}

void Engine::hear(WorkerId worker_id, const SeatStatus& status) {
  const Seat* seat = seat_of(status.seat, worker_id);
  if (seat == nullptr) return;
  SeatSoft& soft = seat_soft(status.seat);
  const Duration used =
      std::clamp(status.used, Duration(0), std::min(seat->funded_for, now_ - seat->granted_at));
  const bool first_word = !soft.known;  // since a restart: what it did before is no news
  if (!soft.known) {
    soft.known = true;
    --soft_.jobs[status.seat.job].unresolved;
  }
  if (!soft.began) {
    soft.began = true;
    soft.began_at = now_;
  }
  soft.used = std::max(soft.used, used);
  soft.said = std::max(soft.said, used);
  soft.said_at = now_;
  soft.memory_peak_bytes = std::max(soft.memory_peak_bytes, status.memory_peak_bytes);
  soft.memory_used_bytes = status.memory_used_bytes;
  if (job(status.seat.job).gang()) {
    JobSoft& of = soft_.jobs[status.seat.job];
    soft.phase = std::max(soft.phase, status.phase);
    of.launched = of.launched || soft.phase >= GangPhase::kLaunched;
    const bool moved = status.activity > soft.activity || status.step > soft.step;
    soft.step = std::max(soft.step, status.step);
    of.step = std::max(of.step, status.step);
    if (status.activity > soft.activity) of.active_at = now_;
    soft.activity = std::max(soft.activity, status.activity);
    if (moved && !first_word) progressed(status.seat);
  }
  touch(status.seat.job);
}

void Engine::offer_again(const Seat& seat) {
  const SeatKey key = seat.key;
  if (seat.stopping) {  // it never began: there is nothing to stop
    const WorkerId at = seat.worker;
    release(key, SeatEnd::kFinished, seat.used_charged, now_, 0, "it ended before it began");
    after_release(key.job, at);
    return;
  }
  effect(offer_of(job(key.job), seat));
  SeatSoft& soft = seat_soft(key);
  soft.offered = true;
  soft.began_at = now_;
  refill(key);
}

// Seats of a worker that its Hello does not name: never begun, or ended in a report that is under
// way.
void Engine::settle_unsaid(const std::vector<SeatKey>& missing, bool reports_in,
                           std::set<JobId>& jobs) {
  for (const SeatKey key : missing) {
    const Seat* seat = state_.find_seat(key);
    if (seat == nullptr) continue;
    SeatSoft& seat_state = seat_soft(key);
    if (!seat_state.known) --soft_.jobs[key.job].unresolved;
    seat_state.known = true;
    if (reports_in) {
      seat_state.said_at = now_;  // it never had it: nothing was used
    } else if (seat_state.said_at < seat->evidence_at) {
      seat_state.said_at = seat->evidence_at;
      seat_state.used = std::max(seat_state.used,
                                 std::min(seat->funded_for, seat->evidence_at - seat->granted_at));
    }
    resync(*seat, {});
    jobs.insert(key.job);
  }
}

// What the worker says it holds is the truth about ranges; what the core says is the truth about
// seats.
void Engine::welcome(const WorkerHello& event, std::vector<SeatKey> drop) {
  const WorkerId id = event.worker;
  Welcome answer;
  answer.worker = id;
  answer.incarnation = event.incarnation;
  const std::uint64_t answer_acknowledged = worker(id).reports_processed;
  answer.acknowledged = answer_acknowledged;
  answer.drop = std::move(drop);
  std::set<SeatKey> said;
  for (const SeatStatus& status : event.seats) {
    said.insert(status.seat);
    const Seat* seat = seat_of(status.seat, id);
    if (seat == nullptr) {
      if (!planted(Bug::kFencedSeatKept)) answer.drop.push_back(status.seat);
      continue;
    }
    answer.keep.push_back({seat->key, id, event.incarnation, seat->funded_for});
  }
  std::vector<SeatKey> missing;
  for (const SeatKey key : worker(id).seats) {
    if (!said.contains(key)) missing.push_back(key);
  }
  std::vector<SeatKey> unsaid;
  WorkerSoft& soft = soft_.workers[id];
  for (const SeatKey key : missing) {
    const Seat* seat = state_.find_seat(key);
    SeatSoft& of_seat = seat_soft(key);
    of_seat.offered = false;
    if (event.last_report > answer.acknowledged) {
      soft.offer_after_reports.insert(key);
    } else if (seat->stopping) {
      unsaid.push_back(key);
    } else {
      answer.start.push_back(offer_of(job(key.job), *seat));
      of_seat.offered = true;
      of_seat.began_at = now_;
    }
  }
  effect(std::move(answer));
  std::set<JobId> jobs;
  for (const SeatStatus& status : event.seats) {
    const Seat* seat = seat_of(status.seat, id);
    if (seat == nullptr) continue;
    resync(*seat, status.held);
    jobs.insert(status.seat.job);
    if (seat->stopping) stop_seat(status.seat, seat->stop_cause, ends_at_once(*seat));
  }
  settle_unsaid(missing, event.last_report <= answer_acknowledged, jobs);
  for (const SeatKey key : unsaid) {
    if (const Seat* seat = state_.find_seat(key)) offer_again(*seat);
  }
  for (const JobId job_id : jobs) {
    const Job* held = state_.find_job(job_id);
    if (held == nullptr || held->terminal()) continue;
    if (held->gang()) {
      advance_gang(job_id);
      if (!timers_.has({TimerKind::kStall, job_id.value(), 0})) arm_stall(*held);
      continue;
    }
    refill_all(job_id);
    update_waiting(job_id);
    eager_.insert(job_id);
  }
  for (const SeatKey key : said) {
    if (seat_of(key, id) != nullptr) {
      timers_.set({TimerKind::kFund, key.job.value(), key.number}, now_);
    }
  }
}

// `held` replaces what was thought to be out at this seat.
void Engine::resync(const Seat& seat, const UnitRanges& held) {
  const Job& of = job(seat.key.job);
  JobSoft& all = job_soft(of);
  SeatSoft& soft = all.seats[seat.key.number];
  UnitRanges lost = soft.out;
  lost.remove(held);
  UnitRanges now_out = held.intersection(UnitRanges(UnitRange{0, of.demand.units}));
  UnitRanges useless = now_out.intersection(of.done);
  now_out.remove(useless);
  soft.out = now_out;
  if (!useless.empty()) {
    effect(ReclaimUnits{seat.key, seat.worker, seat.incarnation, std::move(useless)});
  }
  take_back(of, seat.key.number, lost);
  all.pool.remove(now_out);
  for (const auto& [number, other] : all.seats) {
    if (number == seat.key.number) continue;
    all.doubled.add(other.out.intersection(now_out));
  }
}

void Engine::on(const WorkerHeartbeat& event) {
  const Worker* from = state_.find_worker(event.worker);
  if (from == nullptr || from->state == WorkerState::kRemoved) return;
  if (from->incarnation != event.incarnation && !planted(Bug::kIncarnationCheckDropped)) return;
  WorkerSoft& soft = soft_.workers[event.worker];
  if (!soft.returned && from->state != WorkerState::kLost) return;  // its Hello comes first
  soft.last_sign = now_;
  for (const SeatStatus& status : event.seats) hear(event.worker, status);
  touch(event.worker);
  // It speaks, so it is connected: its silence was long but its stream never ended, or the end of
  // an older stream was noticed late.
  if (!soft.connected) {
    soft.connected = true;
    returned(event.worker);
    update_slots(event.worker);
  }
  cut_if_due(event.worker);
  Welcome fence;
  for (const SeatStatus& status : event.seats) {
    if (seat_of(status.seat, event.worker) == nullptr && !planted(Bug::kFencedSeatKept)) {
      fence.drop.push_back(status.seat);
    }
  }
  if (fence.drop.empty()) return;
  fence.worker = event.worker;
  fence.incarnation = event.incarnation;
  fence.acknowledged = worker(event.worker).reports_processed;
  for (const SeatKey key : worker(event.worker).seats) {
    fence.keep.push_back({key, event.worker, event.incarnation, state_.find_seat(key)->funded_for});
  }
  effect(std::move(fence));
}

}  // namespace overwinter::core
