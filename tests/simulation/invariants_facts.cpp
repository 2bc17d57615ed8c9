// What each fact changes in the second bookkeeping, and the rules it must keep.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/invariants.h"

namespace overwinter::simulation {
namespace {

using core::JobState;
using core::WorkerState;

}  // namespace

void Invariants::apply(Time now, const core::Fact& fact, bool live) {
  ++facts_;
  std::visit([&](const auto& f) { on(now, f, live); }, fact);
  core::evolve(state_, now, fact);
}

void Invariants::on(Time now, const core::PriceBookChanged& f, bool) {
  books_[now] = f.book;
}

// ---- workers

void Invariants::on(Time now, const core::WorkerRegistered& f, bool) {
  ShadowWorker worker;
  worker.own_price = f.price_per_hour;
  worker.spot = f.spot;
  worker.registered_at = worker.slice_from = now;
  const auto supplier = f.labels.find("supplier");
  if (supplier != f.labels.end()) worker.supplier = supplier->second;
  workers_[f.worker] = worker;
}

void Invariants::on(Time now, const core::WorkerConnected& f, bool) {
  ShadowWorker& worker = workers_[f.worker];
  require(f.incarnation >= worker.incarnation, rule::kOldIncarnation, [&] {
    return fmt::format("incarnation {} of worker {} connected after {}", f.incarnation.value(),
                       f.worker.value(), worker.incarnation.value());
  });
  if (worker.incarnation != f.incarnation) worker.processed = 0;
  worker.incarnation = f.incarnation;
  worker.machine = f.machine;
  worker.use.resize(f.machine.devices.size());
  if (!worker.first_connected) worker.first_connected = now;
}

void Invariants::on(Time now, const core::WorkerStateChanged& f, bool live) {
  ShadowWorker& worker = workers_[f.worker];
  require(worker.state != WorkerState::kRemoved, rule::kTerminalFinal,
          [&] { return fmt::format("worker {} was removed and is again", f.worker.value()); });
  // It stays lost; what it shall be when it returns is noted.
  const bool noted = worker.state == WorkerState::kLost &&
                     (f.state == WorkerState::kDraining || f.state == WorkerState::kJoined);
  if (!noted) worker.state = f.state;
  if (f.state == WorkerState::kRemoved) {
    const Time end = std::max(now, worker.registered_at + price_of_machine(worker, now).second);
    require(worker.slice_from == end, rule::kMachines, [&] {
      return fmt::format("machine {} was removed before its cost was settled", f.worker.value());
    });
    require(worker.seat_slices.empty(), rule::kMachines, [&] {
      return fmt::format("machine {}: a charge of its jobs is in no slice", f.worker.value());
    });
    for (const core::DeviceUse& use : worker.use)
      require(use.seats == 0, rule::kMachines, "a removed worker holds a seat");
  }
  if (live && !removing_ && f.state == WorkerState::kLost) check_silence(now, f, worker);
}

void Invariants::check_silence(Time now, const core::WorkerStateChanged& f,
                               const ShadowWorker& worker) const {
  const bool heard = worker.last_contact && *worker.last_contact >= started_at_;
  const Time since = heard ? *worker.last_contact : started_at_;
  const Duration least = !heard                     ? config_.grace_after_start
                         : worker.gang_until == now ? config_.gang_lost_after
                                                    : config_.lost_after;
  require(now - since >= least, rule::kGrace, [&] {
    return fmt::format("worker {} was lost {} ms after {}: {}", f.worker.value(),
                       (now - since).count(), heard ? "its last word" : "a restart", f.reason);
  });
}

void Invariants::on(Time, const core::ReportsProcessed& f, bool) {
  ShadowWorker& worker = workers_[f.worker];
  require(f.incarnation == worker.incarnation, rule::kOldIncarnation,
          "reports of an old incarnation");
  require(f.number == worker.processed + 1, rule::kReportsInOrder, [&] {
    return fmt::format("worker {}: report {} after {}", f.worker.value(), f.number,
                       worker.processed);
  });
  worker.processed = f.number;
}

// ---- jobs

void Invariants::on(Time, const core::JobAccepted& f, bool) {
  ShadowJob job;
  job.units = f.demand.units;
  job.stop_time = f.demand.stop_time;
  job.demand = f.demand;
  job.cap = f.demand.cap;
  job.project = f.project;
  job.request_id = f.request_id;
  require(forgotten_.count(f.job) == 0 && jobs_.emplace(f.job, job).second, rule::kRequestOnce,
          "a job id was given twice");
  if (f.request_id.empty()) return;
  require(requests_.emplace(std::pair{f.project, f.request_id}, f.job).second, rule::kRequestOnce,
          [&] { return "request id " + f.request_id + " made two jobs"; });
}

void Invariants::on(Time, const core::JobDemandChanged& f, bool) {
  ShadowJob& job = jobs_[f.job];
  require(job.done.empty() || job.units == f.demand.units, rule::kUnitOnce,
          "a job with done units was planned anew with other units");
  job.units = f.demand.units;
  job.stop_time = f.demand.stop_time;
  job.demand = f.demand;
}

void Invariants::on(Time, const core::JobUpdated& f, bool) {
  if (f.cap) jobs_[f.job].cap = f.cap;
}

void Invariants::on(Time now, const core::JobStateChanged& f, bool) {
  ShadowJob& job = jobs_[f.job];
  require(!is_terminal(job.state), rule::kTerminalFinal,
          [&] { return fmt::format("job {} left a terminal state", f.job.value()); });
  require(f.cause != core::Cause::kBudget || job.cap, rule::kCap,
          [&] { return fmt::format("job {} has no cap and ran out of it", f.job.value()); });
  if (job.state == JobState::kPaused && f.state == JobState::kQueued) job.own_failures = 0;
  if (f.attempt != 0) {
    job.attempt = f.attempt;
    job.broken = false;
    job.up_at.reset();
    require(job.demand.transport != Transport::kGang || job.own_failures <= job.demand.retries,
            rule::kGangRetries, [&] {
              return fmt::format("job {} starts again after {} own failures", f.job.value(),
                                 job.own_failures);
            });
  }
  if (f.state == JobState::kRunning && !job.up_at) job.up_at = now;
  job.state = f.state;
  if (is_terminal(f.state)) {
    job.final_bill = job.charged;
    job.ended_at = now;
  }
  if (f.state == JobState::kSucceeded) {
    require(job.done.count() == job.units, rule::kUnitLanded, [&] {
      return fmt::format("job {} succeeded with {} of {} units", f.job.value(), job.done.count(),
                         job.units);
    });
  }
}

// Until then, whoever asks again with its request id is given the same job.
void Invariants::on(Time now, const core::JobForgotten& f, bool) {
  const auto job = jobs_.find(f.job);
  require(job != jobs_.end() && is_terminal(job->second.state), rule::kAcknowledged,
          [&] { return fmt::format("job {} was forgotten before it ended", f.job.value()); });
  require(now - job->second.ended_at >= config_.forget_after, rule::kRequestOnce, [&] {
    return fmt::format("job {} was forgotten {} ms after its end", f.job.value(),
                       (now - job->second.ended_at).count());
  });
  requests_.erase({job->second.project, job->second.request_id});
  forgotten_[f.job] = job->second.request_id;
  jobs_.erase(job);
}

void Invariants::on(Time, const core::UnitsDone& f, bool live) {
  ShadowJob& job = jobs_[f.job];
  require(job.done.intersection(f.units).empty(), rule::kUnitOnce,
          [&] { return fmt::format("units of job {} are done again", f.job.value()); });
  require(!is_terminal(job.state), rule::kTerminalFinal, "units of an ended job");
  job.done.add(f.units);
  if (!live) return;
  require(std::find(done_jobs_.begin(), done_jobs_.end(), f.job) == done_jobs_.end(),
          rule::kUnitOnce,
          [&] { return fmt::format("two facts UnitsDone of job {} in a turn", f.job.value()); });
  done_jobs_.push_back(f.job);
  if (job.demand.transport == Transport::kGang) {
    require(truth_.gang_completed(f.job), rule::kGangDone,
            [&] { return fmt::format("gang {} is done and its ranks are not", f.job.value()); });
    return;
  }
  require(seats_.count(f.seat) > 0, rule::kUnitByHeldSeat,
          [&] { return seat_text(f.seat) + " is not held"; });
  for (const UnitRange& range : f.units.ranges()) {
    for (UnitNumber unit = range.begin; unit < range.end; ++unit) {
      require(truth_.landed(f.job, unit), rule::kUnitLanded, [&] {
        return fmt::format("unit {} of job {} is done and not durable", unit, f.job.value());
      });
    }
  }
}

// ---- seats

// A seat holds its share from its grant to its release, and its slices lie in between (UsageCharged
// below): so shares that never sum to more than one at a grant never overlap beyond it.
void Invariants::on(Time now, const core::SeatGranted& f, bool) {
  const auto found = workers_.find(f.worker);
  require(found != workers_.end(), rule::kDeviceBudget, "a seat on an unknown worker");
  ShadowWorker& worker = found->second;
  require(f.device < worker.machine.devices.size(), rule::kDeviceBudget,
          "a seat on an unknown device");
  const DeviceInfo& device = worker.machine.devices[f.device];
  core::DeviceUse& use = worker.use[f.device];
  use.memory_bytes += f.memory_bytes;
  use.threads += f.threads;
  use.share_ppm += f.share_ppm;
  ++use.seats;
  require(use.memory_bytes <= device.memory_bytes, rule::kDeviceBudget, [&] {
    return fmt::format("{} bytes of {} on device {} of worker {}", use.memory_bytes,
                       device.memory_bytes, f.device, f.worker.value());
  });
  require(use.share_ppm <= 1'000'000, rule::kShares,
          [&] { return fmt::format("{} millionths", use.share_ppm); });
  require(use.threads <= device.threads, rule::kDeviceBudget,
          [&] { return fmt::format("{} threads of {}", use.threads, device.threads); });
  require(seats_.count(f.seat) == 0, rule::kSlices,
          [&] { return seat_text(f.seat) + " was granted twice"; });
  check_granted(f);
  ShadowSeat seat;
  seat.price = f.device_price_per_hour;
  seat.worker = f.worker;
  seat.device = f.device;
  seat.memory = f.memory_bytes;
  seat.threads = f.threads;
  seat.share_ppm = f.share_ppm;
  seat.granted_at = now;
  seat.slice_end = now;
  seat.funded_for = f.funded_for;
  seats_[f.seat] = seat;
}

void Invariants::on(Time, const core::SeatFunded& f, bool) {
  const auto seat = seats_.find(f.seat);
  require(seat != seats_.end(), rule::kFunding,
          [&] { return seat_text(f.seat) + " is funded and not held"; });
  require(f.funded_for >= seat->second.funded_for, rule::kFunding,
          [&] { return seat_text(f.seat) + " lost funds that its worker may already use"; });
  seat->second.funded_for = f.funded_for;
  if (f.device_price_per_hour) seat->second.price = *f.device_price_per_hour;
}

void Invariants::on(Time now, const core::SeatStopping& f, bool live) {
  const auto seat = seats_.find(f.seat);
  if (seat == seats_.end() || seat->second.stopping) return;
  seat->second.stopping = true;
  if (live) seat->second.stop_by = now + jobs_[f.seat.job].stop_time + kStopMargin;
}

void Invariants::on(Time now, const core::SeatReleased& f, bool live) {
  const auto found = seats_.find(f.seat);
  require(found != seats_.end(), rule::kBill, [&] { return seat_text(f.seat) + " ended twice"; });
  const ShadowSeat& seat = found->second;
  require(f.used <= seat.funded_for, rule::kFunding, [&] {
    return fmt::format("{} used {} ms of {}", seat_text(f.seat), f.used.count(),
                       seat.funded_for.count());
  });
  require(f.used <= now - seat.granted_at, rule::kBill,
          [&] { return seat_text(f.seat) + " used more than the time that passed"; });
  require(seat.used_charged == f.used, rule::kBill, [&] {
    return fmt::format("{} used {} ms and was charged for {}", seat_text(f.seat), f.used.count(),
                       seat.used_charged.count());
  });
  if (live && reported_end_ && reported_end_->seat == f.seat) {
    const Duration expected =
        std::min({reported_end_->used, seat.funded_for,
                  std::chrono::duration_cast<Duration>(now - seat.granted_at)});
    require(f.used == std::max(expected, Duration(0)), rule::kBill, [&] {
      return fmt::format("{} reported {} ms and is billed for {}", seat_text(f.seat),
                         expected.count(), f.used.count());
    });
  }
  check_waste(f, seat);
  const auto worker = workers_.find(seat.worker);
  if (worker != workers_.end()) {
    const auto job = jobs_.find(f.seat.job);
    if (job != jobs_.end() && job->second.demand.transport == Transport::kGang) {
      worker->second.gang_until = now;
    }
    core::DeviceUse& use = worker->second.use[seat.device];
    use.memory_bytes -= seat.memory;
    use.threads -= seat.threads;
    use.share_ppm -= seat.share_ppm;
    --use.seats;
  }
  seats_.erase(found);
}

}  // namespace overwinter::simulation
