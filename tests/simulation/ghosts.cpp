// Words of the dead: a daemon that was given up for dead, and another started in its place, still
// speaks (a clone of its machine, a process that slept). And plans that come late.
#include <algorithm>

#include "tests/simulation/world.h"

namespace overwinter::simulation {

void World::leave_ghost(const WorkerModel::Words& words) {
  const std::int64_t times = random_.between(1, 6);
  for (std::int64_t i = 0; i < times; ++i) {
    time_.after(random_.between(0, 90'000), [this, words] {
      if (faulty() && coordinator_.up()) ghost_speaks(words);
    });
  }
}

void World::ghost_speaks(const WorkerModel::Words& words) {
  const auto any = [this](std::uint64_t size) {
    return static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(size) - 1));
  };
  const std::int64_t what = random_.between(0, 9);
  if (what < 2) {
    arrive(core::WorkerHeartbeat{words.id, words.incarnation, words.seats});
    return;
  }
  if (what < 5) {
    arrive(core::WorkerHello{words.id, words.incarnation, words.machine, words.seats,
                             words.last_report});
    // Its stream ends too, some time.
    const std::uint64_t life = coordinator_.life();
    time_.after(random_.between(0, 20'000), [this, words, life] {
      if (!coordinator_.up() || coordinator_.life() != life) return;
      coordinator_.post(core::WorkerDisconnected{words.id, words.incarnation});
    });
    return;
  }
  if (words.seats.empty()) return;
  if (random_.chance(0.2)) {  // of a store that is ahead: a checkpoint of nobody
    const SeatKey of = words.seats.front().seat;
    coordinator_.post(core::CheckpointStored{of.job, of.attempt + 1000, 1'000'000});
  }
  const core::SeatStatus& seat = words.seats[any(words.seats.size())];
  if (what < 8) {
    core::WorkerReported report{words.id, words.incarnation, 0, core::SeatBegan{seat.seat}};
    report.number = static_cast<std::uint64_t>(
        random_.between(1, static_cast<std::int64_t>(words.last_report) + 1));
    if (what == 6)
      report.report = core::SeatEnded{seat.seat, core::SeatEnd::kFinished, seat.used, 0, ""};
    if (what == 7 && !seat.held.empty()) {
      report.report = core::UnitsFailed{seat.seat, seat.held, "its ghost"};
    }
    arrive(report);
    return;
  }
  if (seat.held.empty()) return;
  const UnitRange range = seat.held.ranges().front();
  artifacts_.write(seat.seat.job, range.begin);
  artifacts_.sync();
  coordinator_.post(
      core::UnitsLanded{seat.seat, words.id, UnitRanges({range.begin, range.begin + 1})});
}

// Planned anew on the workers of a moment ago: other units, and smaller seats.
void World::plan_again(JobId id) {
  const std::uint64_t life = coordinator_.life();
  time_.after(random_.between(1, 20'000), [this, id, life] {
    if (!coordinator_.up() || coordinator_.life() != life) return;
    const core::Job* job = coordinator_.state().find_job(id);
    if (job == nullptr) return;
    core::JobReplanned event;
    event.job = id;
    core::Alternative other{job->demand, job->plan};
    other.demand.units = static_cast<std::uint64_t>(random_.between(1, 120));
    other.demand.memory_bytes = std::max<std::uint64_t>(64 * kMiB, job->demand.memory_bytes / 2);
    event.alternatives.push_back(other);
    coordinator_.post(event);
  });
}

// The disk is full when C shall be created.
void World::refuse_result(JobId id) {
  const std::uint64_t life = coordinator_.life();
  time_.after(random_.between(1, 2'000), [this, id, life] {
    if (!coordinator_.up() || coordinator_.life() != life) return;
    coordinator_.post(core::ResultRefused{id, "no room"});
  });
}

}  // namespace overwinter::simulation
