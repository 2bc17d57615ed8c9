// What charges change in the second bookkeeping: exact, cut where they must be, each time once.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/invariants.h"

namespace overwinter::simulation {

void Invariants::check_cuts(Time from, Time to, Time books_from, const char* what) const {
  require(from <= to, rule::kSlices, [&] { return std::string(what) + " ends before it begins"; });
  require(to <= next_month_start(from), rule::kMonthCut, what);
  const auto set = books_.upper_bound(std::max(from, books_from));  // the next book that was set
  require(set == books_.end() || to <= set->first, rule::kPriceCut, what);
  if (set == books_.begin() || from < books_from) return;
  const auto change = std::prev(set)->second.next_change(from);
  require(!change || to <= *change, rule::kPriceCut, what);
}

void Invariants::on(Time now, const core::UsageCharged& f, bool) {
  const auto found = seats_.find(f.seat);
  require(found != seats_.end(), rule::kTerminalFinal,
          [&] { return seat_text(f.seat) + " is charged and not held"; });
  ShadowSeat& seat = found->second;
  require(f.to <= now, rule::kSlices, "a slice of the future");
  require(f.from >= seat.slice_end, rule::kSlices,
          [&] { return seat_text(f.seat) + " is charged twice for one time"; });
  require(seat.used_charged + f.used <= seat.funded_for, rule::kFunding, [&] {
    return fmt::format("{} is billed for more than {} ms", seat_text(f.seat),
                       seat.funded_for.count());
  });
  require(f.used <= f.to - f.from, rule::kSlices,
          [&] { return seat_text(f.seat) + ": a slice holds more use than time"; });
  check_cuts(f.from, f.to, f.from, "a slice of a seat");
  const ledger::Int128 expected =
      ledger::Int128{f.device_price_per_hour.micros} * f.used.count() * seat.share_ppm;
  require(f.charge.units == expected, rule::kBill,
          [&] { return seat_text(f.seat) + ": charge is not price x use x share"; });
  ShadowWorker& worker = workers_[seat.worker];
  // A rise may be kept from it (its cap), a fall never.
  const auto book = books_.upper_bound(f.from);
  if (book != books_.begin() && !worker.own_price) {
    const auto entry = std::prev(book)->second.find(
        f.from, worker.machine.devices[seat.device].kind, worker.supplier, worker.spot);
    require(f.used == Duration(0) || f.device_price_per_hour <= (entry ? entry->per_hour : Money{}),
            rule::kBill, [&] { return seat_text(f.seat) + ": a slice costs more than its price"; });
  }
  seat.slice_end = f.to;
  seat.used_charged += f.used;
  seat.charged += f.charge;
  ShadowJob& job = jobs_[f.seat.job];
  require(!is_terminal(job.state), rule::kTerminalFinal, "a bill moved after the job's end");
  job.charged += f.charge;
  charged_ += f.charge;
  require(!job.cap || job.charged <= ledger::charge_of(*job.cap), rule::kCap,
          [&] { return fmt::format("job {} passed its cap", f.seat.job.value()); });
  worker.open_jobs += f.charge;
  if (f.charge.units != 0) worker.seat_slices.push_back({f.from, f.to, f.charge});
}

std::pair<Money, Duration> Invariants::price_of_machine(const ShadowWorker& worker, Time at) const {
  std::pair<Money, Duration> cost{Money{}, Duration(0)};
  auto book = books_.upper_bound(at);
  if (book != books_.begin()) {
    --book;
    for (const DeviceInfo& device : worker.machine.devices) {
      const auto entry = book->second.find(at, device.kind, worker.supplier, worker.spot);
      if (!entry) continue;
      cost.first = cost.first + entry->per_hour;
      cost.second = std::max(cost.second, entry->minimum);
    }
  }
  if (worker.own_price) cost.first = *worker.own_price;
  return cost;
}

// Each slice of a machine holds exactly what its seats were charged for that time: nothing of an
// earlier slice, nothing of a later one.
void Invariants::on(Time now, const core::MachineCharged& f, bool) {
  ShadowWorker& worker = workers_[f.worker];
  const auto id = f.worker.value();
  const core::Worker* known = state_.find_worker(f.worker);
  const bool leaving = known != nullptr && known->removing && known->seats.empty();
  // Beyond now only what is left of its minimum, when it is removed.
  require(f.from == worker.slice_from && f.from <= f.to && (f.to <= now || leaving),
          rule::kMachines,
          [&] { return fmt::format("a gap or an overlap in the cost of machine {}", id); });
  // Before its first Hello it has no devices and so no price that may change.
  const Time connected = worker.first_connected.value_or(now);
  check_cuts(f.from, f.to, connected, "a slice of a machine");
  if (connected <= f.from || books_.upper_bound(f.from) == books_.upper_bound(connected)) {
    const ledger::Charge expected =
        ledger::charge_for(price_of_machine(worker, f.from).first, f.to - f.from, 1'000'000);
    require(f.total == expected, rule::kMachines,
            [&] { return fmt::format("machine {}: its cost is not price x time", id); });
  }
  ledger::Charge jobs;
  auto& open = worker.seat_slices;
  std::erase_if(open, [&](const SeatSlice& slice) {
    if (slice.to > f.to) return false;
    jobs += slice.charge;
    return true;
  });
  require(f.jobs == jobs, rule::kMachines,
          [&] { return fmt::format("machine {}: its jobs were charged another sum", id); });
  for (const SeatSlice& slice : open) {
    require(slice.from >= f.to, rule::kMachines,
            [&] { return fmt::format("machine {}: a seat's slice crosses its own", id); });
  }
  require(f.lost == (worker.state == core::WorkerState::kLost ? f.total : ledger::Charge{}),
          rule::kMachines,
          [&] { return fmt::format("machine {}: lost is not the time it was lost", id); });
  require(f.jobs + f.lost <= f.total, rule::kMachines, [&] {
    return fmt::format("machine {}: idle would be negative, from {} to {}", id, unix_ms(f.from),
                       unix_ms(f.to));
  });
  worker.slice_from = f.to;
  worker.open_jobs -= f.jobs;
  worker.total += f.total;
  worker.jobs += f.jobs;
  worker.lost += f.lost;
}

}  // namespace overwinter::simulation
