// What facts make of seats, on both sides: of their job and of their worker.
#include <algorithm>

#include "coordinator/core/evolver.h"

namespace overwinter::core {

void Evolver::operator()(const SeatGranted& f) {
  Job* job = find(f.seat.job);
  Worker* worker = find(f.worker);
  if (job == nullptr || worker == nullptr) return;
  Seat seat;
  seat.key = f.seat;
  seat.worker = f.worker;
  seat.incarnation = f.incarnation;
  seat.device = f.device;
  seat.memory_bytes = f.memory_bytes;
  seat.threads = f.threads;
  seat.share_ppm = f.share_ppm;
  seat.device_price_per_hour = f.device_price_per_hour;
  seat.funded_for = f.funded_for;
  seat.reserved = f.reserved;
  seat.granted_at = seat.slice_from = seat.evidence_at = time_;
  job->reserved += f.reserved;
  if (job->gang()) job->gang_workers.push_back(f.worker);
  job->next_seat = std::max(job->next_seat, f.seat.number + 1);
  job->seats.insert_or_assign(f.seat.number, seat);
  if (worker->seats.empty()) worker->busy_since = time_;
  worker->seats.insert(f.seat);
  prune_busy(*worker);
  if (f.device >= worker->use.size()) worker->use.resize(f.device + 1);
  DeviceUse& use = worker->use[f.device];
  use.memory_bytes += f.memory_bytes;
  use.threads += f.threads;
  use.share_ppm += f.share_ppm;
  ++use.seats;
}

void Evolver::operator()(const SeatFunded& f) {
  Seat* seat = find(f.seat);
  if (seat == nullptr) return;
  find(f.seat.job)->reserved += f.reserved - seat->reserved;
  seat->reserved = f.reserved;
  seat->funded_for = f.funded_for;
  if (f.device_price_per_hour) seat->device_price_per_hour = *f.device_price_per_hour;
}

void Evolver::operator()(const SeatStopping& f) {
  Seat* seat = find(f.seat);
  if (seat == nullptr) return;
  seat->stopping = true;
  seat->stop_cause = f.cause;
  seat->stopping_at = time_;
}

void Evolver::operator()(const SeatReleased& f) {
  Seat* seat = find(f.seat);
  if (seat == nullptr) return;
  Job* job = find(f.seat.job);
  job->reserved -= seat->reserved - seat->charged;
  job->memory_peak_bytes = std::max(job->memory_peak_bytes, f.memory_peak_bytes);
  job->wasted += f.wasted;
  job->gang_wait += f.gang_wait;
  if (job->gang()) {
    if (f.end == SeatEnd::kCompleted) ++job->seats_finished;
    if (outweighs(f.end, job->culprit.end)) {
      // The first host's worker tells of the ranks of others, too.
      const bool known = f.exit.rank && *f.exit.rank < job->gang_workers.size();
      job->culprit = {f.seat.number, known ? job->gang_workers[*f.exit.rank] : seat->worker, f.end,
                      f.exit, f.message};
    }
  }
  if (Worker* worker = find(seat->worker)) {
    worker->seats.erase(f.seat);
    if (worker->seats.empty() && worker->busy_since) {
      if (time_ > *worker->busy_since) worker->busy.push_back({*worker->busy_since, time_});
      worker->busy_since.reset();
    }
    prune_busy(*worker);
    DeviceUse& use = worker->use[seat->device];
    use.memory_bytes -= seat->memory_bytes;
    use.threads -= seat->threads;
    use.share_ppm -= seat->share_ppm;
    --use.seats;
  }
  job->seats.erase(f.seat.number);
}

void Evolver::operator()(const UsageCharged& f) {
  Job* job = find(f.seat.job);
  Seat* seat = find(f.seat);
  if (job == nullptr || seat == nullptr) return;
  seat->charged += f.charge;
  seat->used_charged += f.used;
  seat->slice_from = f.to;
  job->charged += f.charge;
  job->reserved -= f.charge;
  if (const auto it = state_.projects.find(job->project); it != state_.projects.end()) {
    it->second.charged += f.charge;
  }
  Worker* worker = find(seat->worker);
  if (worker == nullptr) return;
  Time begin = worker->slice_from;
  for (Time cut = next_cut(state_, begin); cut <= f.from; cut = next_cut(state_, begin))
    begin = cut;
  if (begin <= worker->slice_from) {
    worker->jobs_in_slice += f.charge;
  } else {
    worker->jobs_later[begin] += f.charge;
  }
}

}  // namespace overwinter::core
