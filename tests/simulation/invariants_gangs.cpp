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

void Invariants::check_waste(const core::SeatReleased& f, const ShadowSeat& seat) const {
  const auto found = jobs_.find(f.seat.job);
  if (found == jobs_.end() || !found->second.broken) return;
  Duration kept{0};
  const Time saved = found->second.checkpoint_at;
  if (found->second.checkpoint && saved > seat.granted_at) kept = saved - seat.granted_at;
  const ledger::Int128 lost = ledger::Int128{seat.price.micros} *
                              std::max(Duration(0), f.used - kept).count() * seat.share_ppm;
  const ledger::Int128 expected = std::min(lost, seat.charged.units);
  require(f.wasted.units == expected, rule::kGangWaste, [&] {
    return fmt::format("job {}: {} ms were in vain and are not what is counted", f.seat.job.value(),
                       std::max(Duration(0), f.used - kept).count());
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
