// Seats: granted, told to stop, released. A released seat is billed to the end and its place is
// free.
#include <algorithm>
#include <utility>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

constexpr Duration kStopMargin{5000};  // beyond stop_time, for the way there and back

}  // namespace

SeatSoft& Engine::seat_soft(SeatKey key) {
  return job_soft(job(key.job)).seats[key.number];
}

void Engine::progressed(SeatKey key) {
  if (job(key.job).state != JobState::kRunning) return;
  SeatSoft& soft = seat_soft(key);
  soft_.jobs[key.job].pace.note(now_, std::exchange(soft.progressed_at, now_));
}

const SeatSoft* Engine::find_soft(SeatKey key) const {
  const auto it = soft_.jobs.find(key.job);
  if (it == soft_.jobs.end()) return nullptr;
  const auto seat = it->second.seats.find(key.number);
  return seat == it->second.seats.end() ? nullptr : &seat->second;
}

OfferSeat Engine::offer_of(const Job& job, const Seat& seat) const {
  OfferSeat offer;
  offer.seat = seat.key;
  offer.worker = seat.worker;
  offer.incarnation = seat.incarnation;
  offer.device = seat.device;
  offer.memory_bytes = seat.memory_bytes;
  offer.threads = seat.threads;
  offer.funded_for = seat.funded_for;
  offer.stop_time = job.demand.stop_time;
  offer.project = job.project;
  offer.job_name = job.name;
  offer.landing = job.demand.landing;
  offer.gang = job.gang();
  if (offer.gang) offer.from_step = job.checkpoint_step;
  offer.spec = job.spec;
  offer.plan = job.plan;
  return offer;
}

void Engine::grant(const Job& job, WorkerId worker_id, DeviceIndex device, Duration funded_for) {
  cut_if_due(worker_id);
  job_soft(job);  // before the seat is there, so that it is not taken for one from before the start
  const Worker& host = worker(worker_id);
  const policy::SeatSize size = policy::seat_size(job.demand, host.machine.devices[device]);
  SeatGranted granted;
  granted.seat = {job.id, job.attempt, job.next_seat};
  granted.worker = worker_id;
  granted.incarnation = host.incarnation;
  granted.device = device;
  granted.memory_bytes = size.memory_bytes;
  if (planted(Bug::kSeatOverDeviceMemory)) granted.memory_bytes += size.memory_bytes / 2;
  granted.threads = size.threads;
  granted.share_ppm = size.share_ppm;
  granted.device_price_per_hour = price_now(host, device);
  granted.funded_for = funded_for;
  granted.reserved = ledger::charge_for(granted.device_price_per_hour, funded_for, size.share_ppm);
  emit(granted);
  SeatSoft& soft = seat_soft(granted.seat);
  soft.known = true;
  soft.said_at = now_;
  soft.slice = funded_for - job.demand.stop_time;
  soft.offered = true;
  soft.began_at = now_;
  granted_.push_back(granted.seat);
  const Seat& seat = *state_.find_seat(granted.seat);
  effect(offer_of(job, seat));
  if (job.gang()) {
    soft.phase = GangPhase::kPreparing;
    // Its silence is noticed sooner from now on.
    timers_.set({TimerKind::kLost, worker_id.value(), 0},
                soft_.workers[worker_id].last_sign + lost_after(host));
  }
  arm_funding(job, seat, soft);
  touch(job.id);
  touch(worker_id);
  update_slots(worker_id);
}

void Engine::stop_seat(SeatKey key, Cause cause, bool at_once) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr) return;
  if (!seat->stopping) emit(SeatStopping{key, cause});
  effect(StopSeat{key, seat->worker, seat->incarnation, cause, at_once});
  SeatSoft& soft = seat_soft(key);
  const Time due = now_ + (at_once ? Duration(0) : job(key.job).demand.stop_time) + kStopMargin;
  if ((!soft.stop_deadline || due < *soft.stop_deadline) && !planted(Bug::kStopDeadlineSkipped)) {
    soft.stop_deadline = due;
    timers_.set({TimerKind::kStop, key.job.value(), key.number}, *soft.stop_deadline);
  }
  touch(key.job);
}

// A seat that does not end in time is fenced. While its worker is away, its silence decides
// instead.
void Engine::stop_due(SeatKey key) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr || !seat->stopping) return;
  if (!soft_.workers[seat->worker].connected) {
    timers_.set({TimerKind::kStop, key.job.value(), key.number}, now_ + config_.lost_after);
    return;
  }
  fence(key, "it did not stop in time and was cut off");
}

void Engine::fence(SeatKey key, std::string why) {
  const Seat copy = *state_.find_seat(key);
  release_lost(key, std::move(why));
  Welcome fence;  // the worker ends it, whatever it is doing
  fence.worker = copy.worker;
  fence.incarnation = copy.incarnation;
  fence.acknowledged = worker(copy.worker).reports_processed;
  for (const SeatKey held : worker(copy.worker).seats) {
    const Seat* other = state_.find_seat(held);
    fence.keep.push_back({held, copy.worker, copy.incarnation, other->funded_for});
  }
  fence.drop.push_back(key);
  effect(std::move(fence));
  after_release(key.job, copy.worker);
}

// Billed to the last evidence of life, never above what it was funded for.
void Engine::release_lost(SeatKey key, std::string message) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr) return;
  const SeatSoft* soft = find_soft(key);
  const bool known = soft != nullptr && soft->known;
  const Time evidence = std::max(seat->slice_from, known ? soft->said_at : seat->evidence_at);
  release(key, SeatEnd::kLost, used_so_far(*seat), evidence, known ? soft->memory_peak_bytes : 0,
          std::move(message));
}

void Engine::release(SeatKey key, SeatEnd end, Duration used, Time to, std::uint64_t peak,
                     std::string message, const SeatExit& exit) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr || planted(Bug::kReleaseForgotten)) return;
  if (job(key.job).gang()) gang_seat_ends(key, end);
  cut_seat(key, used);
  const WorkerId worker_id = seat->worker;
  const DeviceIndex device = seat->device;
  bill(*seat, used, std::max(to, seat->slice_from));
  const ledger::Charge waited =
      waited_for_gang(job(key.job), *seat, seat->used_charged, seat->charged);
  emit(SeatReleased{key, end, seat->used_charged, peak, std::move(message), exit,
                    wasted_by(job(key.job), *seat, waited), waited});
  timers_.cancel({TimerKind::kFund, key.job.value(), key.number});
  timers_.cancel({TimerKind::kStop, key.job.value(), key.number});
  const auto soft_job = soft_.jobs.find(key.job);
  if (soft_job != soft_.jobs.end()) {
    const auto it = soft_job->second.seats.find(key.number);
    if (it != soft_job->second.seats.end()) {
      if (!it->second.known) --soft_job->second.unresolved;
      const UnitRanges out = std::move(it->second.out);
      soft_job->second.seats.erase(it);
      if (!planted(Bug::kUnitsOfLostSeatForgotten) || end != SeatEnd::kLost) {
        take_back(job(key.job), key.number, out);
      }
    }
  }
  soft_.workers[worker_id].offer_after_reports.erase(key);
  cut_if_due(worker_id);
  update_slots(worker_id);
  freed_.insert({worker_id, device});
  touch(key.job);
  touch(worker_id);
}

// What follows for the job and for the worker; not for callers that go through many seats at once.
void Engine::after_release(JobId id, WorkerId worker_id) {
  const Job& left = job(id);
  settle(id);
  // Its workers and its network are free for gangs of other projects, whatever devices they need.
  if (left.gang() && left.seats.empty()) {
    for (const auto& [rank, group] : waiting_.heads()) {
      if (group->first.gang_seats_min > 0) eager_.insert(rank.job);
    }
  }
  const bool active = left.state == JobState::kRunning || left.state == JobState::kStarting;
  if (active && left.gang()) {
    if (left.seats.empty() ||
        (planted(Bug::kGangAttemptsOverlap) && left.broken && left.seats.size() == 1)) {
      gang_attempt_over(id);
    }
  } else if (active) {
    if (left.all_done()) {
      finish(id);
    } else if (left.seats.empty()) {
      if (broke(left)) {
        out_of_budget(id);
      } else {
        set_state(id, JobState::kQueued, Cause::kWorkerLost,
                  "it holds no seat any more; waiting for another");
      }
    }
    if (!job(id).terminal()) {
      update_waiting(id);
      eager_.insert(id);
      refill_all(id);
    }
  }
  remove_if_empty(worker_id);
}

}  // namespace overwinter::core
