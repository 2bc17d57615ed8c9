// Workers: they join, come, go silent, return, are drained and removed. Signs of life are soft.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

void Engine::set_worker(WorkerId id, WorkerState state, std::string reason, std::uint64_t actor,
                        bool removing) {
  emit(WorkerStateChanged{id, state, std::move(reason), actor, removing});
  touch(id);
  update_slots(id);
  if (state == WorkerState::kReady) return;
  std::erase_if(held_, [id](const auto& held) { return held.first.first == id; });
  // A job that failed elsewhere and waits for this worker may try the others again.
  for (const JobId job_id : avoiding_) eager_.insert(job_id);
}

void Engine::sign_of_life(WorkerId id) {
  soft_.workers[id].last_sign = now_;
}

// ---- joining

Status Engine::check_join(const JoinFile* file, const WorkerJoinRequested& event) const {
  if (file == nullptr) return error(Code::kPermissionDenied, "this join file is not known here");
  const std::string id = std::to_string(file->id.value());
  const std::string hint = "overwinter tokens create --role worker -o join.file";
  if (file->revoked_at) {
    return error(Code::kPermissionDenied, "join file " + id + " was revoked", {}, hint);
  }
  if (now_ >= file->expires) {
    return error(Code::kPermissionDenied,
                 "join file " + id + " ended at " + format_time(file->expires), {}, hint);
  }
  if (file->used >= file->uses) {
    return error(Code::kPermissionDenied,
                 "join file " + id + " was good for " + std::to_string(file->uses) +
                     " workers, and as many have joined",
                 {}, hint);
  }
  if (event.price_per_hour && !file->may_set_price) {
    return error(Code::kPermissionDenied, "join file " + id + " does not allow --price", "price");
  }
  if (file->projects.empty()) return {};
  for (const std::string& project : event.projects) {
    if (std::find(file->projects.begin(), file->projects.end(), project) == file->projects.end()) {
      return error(Code::kPermissionDenied,
                   fmt::format("join file {} is not for project \"{}\"", id, project), "projects");
    }
  }
  return {};
}

void Engine::on(const WorkerJoinRequested& event) {
  Reply answer;
  answer.reply = event.reply;
  const auto known = state_.workers_by_key.find(event.public_key);
  if (known != state_.workers_by_key.end() &&
      worker(known->second).state != WorkerState::kRemoved &&
      worker(known->second).join_file.value() == event.by.id) {
    answer.worker = known->second;
    answer.repeated = true;
    effect(std::move(answer));
    return;
  }
  const auto file = state_.join_files.find(JoinFileId(event.by.id));
  answer.status = check_join(file == state_.join_files.end() ? nullptr : &file->second, event);
  if (known != state_.workers_by_key.end() && answer.status.ok()) {
    answer.status = error(Code::kAlreadyExists, "another worker has joined with this key",
                          "public_key", "start it with a new, empty --data-dir");
  }
  if (answer.status.ok()) {
    std::string name = event.name;
    for (int n = 2; state_.workers_by_name.contains(name); ++n) {
      name = event.name + "-" + std::to_string(n);
    }
    const WorkerId id(state_.next_worker);
    emit(WorkerRegistered{id, file->first, name, event.labels,
                          event.projects.empty() ? file->second.projects : event.projects,
                          event.spot, event.price_per_hour, event.public_key});
    answer.worker = id;
    soft_.workers[id];
    touch(id);
  }
  effect(std::move(answer));
}

// ---- coming and going

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
    lose_seats(event.worker, "its daemon was started anew");
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
  for (const SeatStatus& status : event.seats) hear(event.worker, status);
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
  touch(event.worker);
  returned(event.worker);
  welcome(event);
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
  if (job(status.seat.job).gang()) {
    JobSoft& of = soft_.jobs[status.seat.job];
    soft.phase = std::max(soft.phase, status.phase);
    of.launched = of.launched || soft.phase >= GangPhase::kLaunched;
    soft.step = std::max(soft.step, status.step);
    of.step = std::max(of.step, status.step);
    if (status.activity > soft.activity) of.active_at = now_;
    soft.activity = std::max(soft.activity, status.activity);
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
void Engine::welcome(const WorkerHello& event) {
  const WorkerId id = event.worker;
  Welcome answer;
  answer.worker = id;
  answer.incarnation = event.incarnation;
  const std::uint64_t answer_acknowledged = worker(id).reports_processed;
  answer.acknowledged = answer_acknowledged;
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

void Engine::on(const WorkerDisconnected& event) {
  const Worker* gone = state_.find_worker(event.worker);
  if (gone == nullptr || gone->incarnation != event.incarnation) return;
  const auto soft = soft_.workers.find(event.worker);
  if (soft == soft_.workers.end() || !soft->second.connected) return;
  soft->second.connected = false;
  touch(event.worker);
  update_slots(event.worker);
}

void Engine::lost_due(WorkerId id) {
  const Worker* silent = state_.find_worker(id);
  if (silent == nullptr) return;
  if (silent->state != WorkerState::kReady && silent->state != WorkerState::kDraining) return;
  WorkerSoft& soft = soft_.workers[id];
  const Time grace = planted(Bug::kGracePeriodSkipped) ? Time{} : soft_.grace_until;
  const Time due = std::max(soft.last_sign + lost_after(*silent), grace);
  if (now_ < due) {
    timers_.set({TimerKind::kLost, id.value()}, due);
    return;
  }
  soft.connected = false;
  const std::string silence =
      format_duration(now_ - std::max(soft.last_sign, silent->registered_at));
  lose_seats(id, "its worker " + silent->name + " was lost");
  if (silent->state == WorkerState::kRemoved) return;  // it was leaving, and held a last seat
  cut_if_due(id);
  charge_machine(id, now_);
  set_worker(id, WorkerState::kLost, "not heard of for " + silence);
  remove_if_empty(id);
}

// A gang waits for each of its members, and pays for all of them meanwhile.
Duration Engine::lost_after(const Worker& host) const {
  const bool gang = std::any_of(host.seats.begin(), host.seats.end(),
                                [this](const SeatKey& key) { return job(key.job).gang(); });
  return gang ? std::min(config_.lost_after, config_.gang_lost_after) : config_.lost_after;
}

void Engine::lose_seats(WorkerId id, const std::string& why) {
  std::set<JobId> jobs;
  const std::vector<SeatKey> keys(worker(id).seats.begin(), worker(id).seats.end());
  for (const SeatKey key : keys) {
    release_lost(key, why);
    jobs.insert(key.job);
  }
  for (const JobId job_id : jobs) after_release(job_id, id);
}

// ---- what people ask

void Engine::drain(WorkerId id, std::string reason, std::uint64_t actor, bool removing) {
  const Worker& drained = worker(id);
  if (!drained.draining || (removing && !drained.removing)) {
    set_worker(id, WorkerState::kDraining, std::move(reason), actor, removing);
  }
  const std::vector<SeatKey> keys(drained.seats.begin(), drained.seats.end());
  for (const SeatKey key : keys) {
    if (job(key.job).gang()) break_attempt(key.job, Cause::kDrain);
    stop_seat(key, Cause::kDrain);
  }
  remove_if_empty(id);
}

void Engine::remove_if_empty(WorkerId id) {
  const Worker& leaving = worker(id);
  if (!leaving.removing || !leaving.seats.empty() || leaving.state == WorkerState::kRemoved) return;
  cut_if_due(id);
  if (!planted(Bug::kMachineChargeAtRemovalSkipped)) charge_machine(id, now_);
  charge_minimum(id);
  set_worker(id, WorkerState::kRemoved, "removed");
  effect(EndPrincipal{PrincipalKind::kWorker, id.value()});
  timers_.cancel({TimerKind::kLost, id.value()});
  timers_.cancel({TimerKind::kCut, id.value()});
  soft_.workers.erase(id);
  workers_changed(id);
}

void Engine::on(const WorkerActionRequested& event) {
  const Worker* found = state_.find_worker(event.worker);
  Status status;
  if (found == nullptr) {
    status = error(Code::kNotFound, "there is no such worker", "name", "overwinter workers list");
  } else if (found->state == WorkerState::kRemoved) {
    if (event.action != WorkerAction::kRemove) {
      status = error(Code::kFailedPrecondition, "worker " + found->name + " was removed");
    }
  } else {
    switch (event.action) {
      case WorkerAction::kDrain:
        drain(event.worker, "drained by a person", event.by.id, false);
        break;
      case WorkerAction::kRemove:
        drain(event.worker, "removed by a person", event.by.id, true);
        break;
      case WorkerAction::kResume:
        if (found->removing) {
          status = error(Code::kFailedPrecondition, "worker " + found->name + " is being removed");
        } else if (found->draining) {
          resume_worker(*found, event.by.id);
        }
        break;
    }
  }
  Reply answer;
  answer.reply = event.reply;
  if (status.ok()) answer.worker = event.worker;
  answer.status = std::move(status);
  effect(std::move(answer));
}

void Engine::resume_worker(const Worker& drained, std::uint64_t actor) {
  const bool away = drained.state == WorkerState::kLost || !drained.incarnation.valid();
  set_worker(drained.id, away ? WorkerState::kJoined : WorkerState::kReady, "resumed by a person",
             actor);
}

}  // namespace overwinter::core
