// Rules of gangs.
#include <fmt/format.h>

#include "tests/simulation/invariants.h"

namespace overwinter::simulation {
namespace {

using core::JobState;

// Beyond stall_timeout: heartbeats under way, a worker that is away and not yet lost, one restart.
constexpr Duration kStallMargin{120'000};

}  // namespace

void Invariants::on(Time now, const core::CheckpointKept& f, bool live) {
  ShadowJob& job = jobs_[f.job];
  require(!is_terminal(job.state), rule::kTerminalFinal, "a checkpoint of an ended job");
  require(!job.checkpoint || f.step > *job.checkpoint, rule::kGangCheckpoint,
          [&] { return fmt::format("job {}: an older checkpoint", f.job.value()); });
  require(f.attempt <= job.attempt, rule::kGangCheckpoint, [&] {
    return fmt::format("job {}: a checkpoint of attempt {}, which was never made", f.job.value(),
                       f.attempt);
  });
  require(!live || f.step <= truth_.checkpoint(f.job), rule::kGangCheckpoint, [&] {
    return fmt::format("job {}: checkpoint {} counts and is not durable", f.job.value(), f.step);
  });
  job.checkpoint = f.step;
  job.checkpoint_at = now;
}

void Invariants::on(Time, const core::AttemptBroken& f, bool) {
  ShadowJob& job = jobs_[f.job];
  require(f.attempt == job.attempt && !job.broken, rule::kGangAttempts,
          [&] { return fmt::format("job {} broke off twice", f.job.value()); });
  job.broken = true;
}

void Invariants::on(Time, const core::AttemptEnded& f, bool) {
  ShadowJob& job = jobs_[f.job];
  for (const auto& [key, seat] : seats_) {
    require(key.job != f.job, rule::kGangAttempts, [&] {
      return fmt::format("attempt {} of job {} is over and holds a seat", f.attempt, f.job.value());
    });
  }
  if (f.cause == core::Cause::kFailure || f.cause == core::Cause::kLaunch) ++job.own_failures;
}

void Invariants::check_granted(const core::SeatGranted& f) const {
  const auto job = jobs_.find(f.seat.job);
  if (job == jobs_.end() || job->second.demand.transport != Transport::kGang) return;
  const ShadowWorker& host = workers_.find(f.worker)->second;
  for (const auto& [key, seat] : seats_) {
    if (key.job == f.seat.job) {
      require(key.attempt == f.seat.attempt, rule::kGangAttempts, [&] {
        return fmt::format("job {} holds seats of attempts {} and {}", key.job.value(), key.attempt,
                           f.seat.attempt);
      });
      require(seat.worker != f.worker || seat.device != f.device, rule::kGangTogether,
              "two seats of a gang on one device");
      const MachineInfo& a = host.machine;
      const MachineInfo& b = workers_.find(seat.worker)->second.machine;
      const bool network = !a.network.empty() && a.network == b.network &&
                           !a.peer_address.empty() && !b.peer_address.empty() &&
                           a.peer_address != b.peer_address;
      require(a.host_id == b.host_id || network, rule::kGangTogether, [&] {
        return fmt::format(
            "job {} is on workers without a common network and addresses of their own",
            key.job.value());
      });
      continue;
    }
    const auto other = jobs_.find(key.job);
    if (other == jobs_.end() || other->second.demand.transport != Transport::kGang) continue;
    if (other->second.project == job->second.project) continue;
    require(seat.worker != f.worker, rule::kGangProjects, [&] {
      return fmt::format("jobs {} and {} share worker {}", key.job.value(), f.seat.job.value(),
                         f.worker.value());
    });
    const MachineInfo& theirs = workers_.find(seat.worker)->second.machine;
    require(theirs.network.empty() || theirs.network != host.machine.network ||
                (theirs.shared_network && host.machine.shared_network),
            rule::kGangProjects, [&] {
              return fmt::format("jobs {} and {} share network {}", key.job.value(),
                                 f.seat.job.value(), theirs.network);
            });
  }
}

void Invariants::check_waste(const core::SeatReleased& f, const ShadowSeat& seat) {
  const auto found = jobs_.find(f.seat.job);
  if (found == jobs_.end()) return;
  ShadowJob& job = found->second;
  job.wasted += f.wasted;
  job.gang_wait += f.gang_wait;
  if (job.demand.transport != Transport::kGang) {
    require(f.wasted.units == 0 && f.gang_wait.units == 0, rule::kGangWait,
            [&] { return fmt::format("job {} is no gang and waited", f.seat.job.value()); });
    return;
  }
  const ledger::Int128 per_ms = ledger::Int128{seat.price.micros} * seat.share_ppm;
  const Duration up_after = job.up_at ? *job.up_at - seat.granted_at : f.used;
  const ledger::Int128 waited =
      job.up_at ? std::min(per_ms * std::min(up_after, f.used).count(), seat.charged.units)
                : seat.charged.units;
  require(f.gang_wait.units == waited, rule::kGangWait, [&] {
    return fmt::format("job {}: {} ms of {} were before its gang was up", f.seat.job.value(),
                       std::min(up_after, f.used).count(), f.used.count());
  });
  require(f.wasted + f.gang_wait <= seat.charged, rule::kGangWait, [&] {
    return fmt::format("job {}: a seat wasted and waited for more than it was charged",
                       f.seat.job.value());
  });
  if (!job.broken) return;
  Duration kept = up_after;
  const Time saved = job.checkpoint_at;
  if (job.checkpoint && saved > seat.granted_at) kept = std::max(kept, saved - seat.granted_at);
  const Duration in_vain = std::max(Duration(0), f.used - kept);
  const ledger::Int128 expected = std::min(per_ms * in_vain.count(), seat.charged.units - waited);
  require(f.wasted.units == expected, rule::kGangWaste, [&] {
    return fmt::format("job {}: {} ms were in vain and are not what is counted", f.seat.job.value(),
                       in_vain.count());
  });
}

void Invariants::check_gang(Time now, const core::Job& job) const {
  const auto id = job.id.value();
  const ShadowJob& shadow = jobs_.find(job.id)->second;
  const bool active = job.state == JobState::kStarting || job.state == JobState::kRunning;
  for (const auto& [number, seat] : job.seats) {
    require(seat.key.attempt == job.attempt, rule::kGangAttempts,
            [&] { return fmt::format("job {} holds a seat of an old attempt", id); });
  }
  if (!active) return;
  if (!shadow.broken) {
    require(job.seats.size() + job.seats_finished == job.gang_workers.size(), rule::kGangWhole,
            [&] {
              return fmt::format("job {} holds {} of {} seats", id, job.seats.size(),
                                 job.gang_workers.size());
            });
  }
  require(job.gang_workers.size() >= job.demand.seats_min &&
              job.gang_workers.size() <= job.demand.seats_max,
          rule::kGangWhole, [&] {
            return fmt::format("job {} was given {} seats, not {} to {}", id,
                               job.gang_workers.size(), job.demand.seats_min, job.demand.seats_max);
          });
  if (shadow.broken || job.state != JobState::kRunning) return;
  const Time moved =
      std::max({time_from_unix_ms(truth_.gang_active_at_ms(job.id)), started_at_, job.state_at});
  require(now - moved <= job.demand.stall_timeout + kStallMargin, rule::kGangStall, [&] {
    return fmt::format("job {} has done nothing for {} ms", id, (now - moved).count());
  });
}

}  // namespace overwinter::simulation
