#include "tests/integration/isolation/workers.h"

#include <iterator>
#include <utility>
#include <variant>

namespace overwinter::test {
namespace {

constexpr Incarnation kIncarnation{2};

}  // namespace

void Daemons::offer(const core::OfferSeat& offer) {
  daemons_[offer.worker].seats.try_emplace(offer.seat);
}

void Daemons::order(const core::Effect& effect) {
  MutexLock lock(mutex_);
  ++orders_;
  if (const auto* offered = std::get_if<core::OfferSeat>(&effect)) offer(*offered);
  if (const auto* given = std::get_if<core::HandOutUnits>(&effect)) {
    daemons_[given->worker].seats[given->seat].units.add(given->units);
  }
  if (const auto* taken = std::get_if<core::ReclaimUnits>(&effect)) {
    daemons_[taken->worker].seats[taken->seat].units.remove(taken->units);
  }
  if (const auto* stop = std::get_if<core::StopSeat>(&effect)) {
    daemons_[stop->worker].seats[stop->seat].stopping = true;
  }
  if (const auto* welcome = std::get_if<core::Welcome>(&effect)) {
    for (const auto& start : welcome->start) offer(start);
    for (const auto& seat : welcome->drop) daemons_[welcome->worker].seats.erase(seat);
  }
}

void Daemons::connect(WorkerId worker, const core::test::WorkerBuilder& builder,
                      runtime::EventQueue& queue) {
  {
    MutexLock lock(mutex_);
    daemons_[worker] = {};
  }
  queue.post_vital(core::WorkerHello{worker, kIncarnation, builder.machine(), {}, 0});
}

// What a seat reports next.
std::optional<core::Report> Daemons::next(SeatKey seat, Held& held) {
  if (held.stopping) {
    return core::SeatEnded{seat, core::SeatEnd::kFinished, held.used, 1024, {}};
  }
  if (!std::exchange(held.began, true)) return core::SeatBegan{seat};
  if (held.units.empty()) return std::nullopt;
  return core::UnitsReported{seat, held.units.take_front(1)};
}

std::vector<core::Event> Daemons::work(Duration passed) {
  MutexLock lock(mutex_);
  std::vector<core::Event> out;
  for (auto& [worker, daemon] : daemons_) {
    core::WorkerHeartbeat beat{worker, kIncarnation, {}};
    for (auto it = daemon.seats.begin(); it != daemon.seats.end();) {
      auto& [seat, held] = *it;
      if (held.began) held.used += passed;
      const bool ends = held.stopping;
      if (auto report = next(seat, held)) {
        out.emplace_back(
            core::WorkerReported{worker, kIncarnation, ++daemon.reports, std::move(*report)});
      }
      if (!ends) beat.seats.push_back({seat, held.used, {}, 1024, false});
      it = ends ? daemon.seats.erase(it) : std::next(it);
    }
    out.emplace_back(std::move(beat));
  }
  return out;
}

std::size_t Daemons::orders() const {
  MutexLock lock(mutex_);
  return orders_;
}

}  // namespace overwinter::test
