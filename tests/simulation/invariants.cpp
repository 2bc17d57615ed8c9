#include "tests/simulation/invariants.h"

#include <fmt/format.h>

#include <algorithm>

namespace overwinter::simulation {
namespace {

using core::JobState;

std::string text(const SeatKey& k) {
  return fmt::format("seat {}/{}/{}", k.job.value(), k.attempt, k.number);
}

[[noreturn]] void broken(const char* rule, std::string detail) {
  throw Violation(rule, detail);
}

void require(bool holds, const char* rule, const std::string& detail) {
  if (!holds) broken(rule, detail);
}

// The worker that an event speaks for, and the incarnation it claims.
struct Speaker {
  WorkerId worker;
  std::optional<Incarnation> incarnation;
};
std::optional<Speaker> speaker_of(const core::Event& event) {
  if (const auto* e = std::get_if<core::WorkerHeartbeat>(&event))
    return Speaker{e->worker, e->incarnation};
  if (const auto* e = std::get_if<core::WorkerReported>(&event))
    return Speaker{e->worker, e->incarnation};
  if (const auto* e = std::get_if<core::WorkerHello>(&event))
    return Speaker{e->worker, std::nullopt};
  return std::nullopt;
}

}  // namespace

Invariants::Invariants(core::SchedulerConfig config, const Truth& truth)
    : config_(config), truth_(truth) {}

void Invariants::before_step(Time now, const core::Event& event) {
  stale_event_ = false;
  reported_end_.reset();
  const auto* action = std::get_if<core::WorkerActionRequested>(&event);
  removing_ = action != nullptr && action->action == core::WorkerAction::kRemove;
  if (const auto* gone = std::get_if<core::WorkerDisconnected>(&event)) {
    const auto found = workers_.find(gone->worker);
    if (found != workers_.end() && found->second.incarnation == gone->incarnation) {
      found->second.connected = false;
    }
  }
  const auto speaker = speaker_of(event);
  if (!speaker) return;
  const auto worker = workers_.find(speaker->worker);
  if (worker == workers_.end()) return;
  if (speaker->incarnation && *speaker->incarnation != worker->second.incarnation) {
    stale_event_ = true;
    return;
  }
  if (std::holds_alternative<core::WorkerHello>(event)) return;  // counted when it was not refused
  // What a stream had under way when it ended is no sign of life.
  if (worker->second.connected) worker->second.last_contact = now;
  if (const auto* report = std::get_if<core::WorkerReported>(&event)) {
    if (const auto* end = std::get_if<core::SeatEnded>(&report->report)) reported_end_ = *end;
  }
}

void Invariants::after_step(Time now, const core::Event& event, const core::Outcome& out,
                            const core::ClusterState& state) {
  if (stale_event_) check_stale(event, out);
  std::set<JobId> done_jobs;
  for (const core::Fact& fact : out.facts) {
    if (const auto* done = std::get_if<core::UnitsDone>(&fact)) {
      require(done_jobs.insert(done->job).second, rule::kUnitOnce,
              fmt::format("two facts UnitsDone of job {} in one turn", done->job.value()));
    }
    apply(now, fact, true);
    trace_ = (trace_ ^ (fact.index() + 1)) * 0x100000001b3ULL;
  }
  trace_ = (trace_ ^ static_cast<std::uint64_t>(unix_ms(now))) * 0x100000001b3ULL;
  check_touched(now, out, state);
  if (const auto* hello = std::get_if<core::WorkerHello>(&event)) {
    check_welcome(*hello, out, state);
    const auto worker = workers_.find(hello->worker);
    const bool refused = std::any_of(
        out.effects.begin(), out.effects.end(),
        [](const auto& effect) { return std::holds_alternative<core::RefuseWorker>(effect); });
    if (!refused && worker != workers_.end()) {
      worker->second.connected = true;
      worker->second.last_contact = now;
    }
  }
}

void Invariants::check_welcome(const core::WorkerHello& hello, const core::Outcome& out,
                               const core::ClusterState& state) {
  for (const core::Effect& effect : out.effects) {
    const auto* welcome = std::get_if<core::Welcome>(&effect);
    if (welcome == nullptr) continue;
    const std::set<SeatKey> dropped(welcome->drop.begin(), welcome->drop.end());
    for (const core::SeatStatus& said : hello.seats) {
      const core::Seat* seat = state.find_seat(said.seat);
      const bool held =
          seat != nullptr && seat->worker == hello.worker && seat->incarnation == hello.incarnation;
      require(held != (dropped.count(said.seat) > 0), rule::kWelcome,
              text(said.seat) + (held ? " is held and dropped" : " is not held and not dropped"));
    }
  }
}

void Invariants::replayed(Time time, const std::vector<core::Fact>& facts) {
  for (const core::Fact& fact : facts) apply(time, fact, false);
}

void Invariants::coordinator_started(Time now) {
  started_at_ = now;
}

void Invariants::apply(Time now, const core::Fact& fact, bool live) {
  std::visit(
      [&](const auto& f) {
        using F = std::decay_t<decltype(f)>;
        if constexpr (std::is_same_v<F, core::PriceBookChanged>) {
          books_[now] = f.book;
        } else if constexpr (std::is_same_v<F, core::WorkerRegistered>) {
          ShadowWorker worker;
          worker.own_price = f.price_per_hour;
          worker.spot = f.spot;
          worker.slice_from = now;
          const auto supplier = f.labels.find("supplier");
          if (supplier != f.labels.end()) worker.supplier = supplier->second;
          workers_[f.worker] = worker;
        } else if constexpr (std::is_same_v<F, core::WorkerConnected>) {
          ShadowWorker& worker = workers_[f.worker];
          if (worker.incarnation != f.incarnation) worker.processed = 0;
          worker.incarnation = f.incarnation;
          worker.machine = f.machine;
          if (!worker.first_connected) worker.first_connected = now;
        } else if constexpr (std::is_same_v<F, core::JobUpdated>) {
          if (f.cap) jobs_[f.job].cap = f.cap;
        } else if constexpr (std::is_same_v<F, core::JobDemandChanged>) {
          ShadowJob& job = jobs_[f.job];
          require(job.done.empty() || job.units == f.demand.units, rule::kUnitOnce,
                  "a job with done units was planned anew with other units");
          job.units = f.demand.units;
          job.stop_time = f.demand.stop_time;
        } else if constexpr (std::is_same_v<F, core::JobForgotten>) {
          const auto job = jobs_.find(f.job);
          require(job != jobs_.end() && is_terminal(job->second.state), rule::kAcknowledged,
                  fmt::format("job {} was forgotten before it ended", f.job.value()));
          requests_.erase({job->second.project, job->second.request_id});
          jobs_.erase(job);
        } else if constexpr (std::is_same_v<F, core::SeatFunded>) {
          const auto seat = seats_.find(f.seat);
          require(seat != seats_.end(), rule::kFunding, text(f.seat) + " is funded and not held");
          require(f.funded_for >= seat->second.funded_for, rule::kFunding,
                  text(f.seat) + " lost funds that its worker may already use");
          seat->second.funded_for = f.funded_for;
        } else if constexpr (std::is_same_v<F, core::SeatStopping>) {
          const auto seat = seats_.find(f.seat);
          if (seat != seats_.end() && !seat->second.stopping_at) seat->second.stopping_at = now;
        } else if constexpr (std::is_same_v<F, core::UnitsDone> ||
                             std::is_same_v<F, core::SeatReleased> ||
                             std::is_same_v<F, core::WorkerStateChanged>) {
          on(now, f, live);
        } else if constexpr (std::is_same_v<F, core::JobAccepted> ||
                             std::is_same_v<F, core::JobStateChanged> ||
                             std::is_same_v<F, core::SeatGranted> ||
                             std::is_same_v<F, core::UsageCharged> ||
                             std::is_same_v<F, core::MachineCharged> ||
                             std::is_same_v<F, core::ReportsProcessed>) {
          on(now, f);
        }
      },
      fact);
  core::evolve(state_, now, fact);
}

void Invariants::on(Time, const core::JobAccepted& f) {
  ShadowJob job;
  job.units = f.demand.units;
  job.stop_time = f.demand.stop_time;
  job.cap = f.demand.cap;
  job.project = f.project;
  job.request_id = f.request_id;
  require(jobs_.emplace(f.job, job).second, rule::kRequestOnce, "a job id was given twice");
  if (!f.request_id.empty()) {
    require(requests_.emplace(f.project, f.request_id).second, rule::kRequestOnce,
            "request id " + f.request_id + " made two jobs");
  }
}

void Invariants::on(Time, const core::JobStateChanged& f) {
  ShadowJob& job = jobs_[f.job];
  require(!is_terminal(job.state), rule::kTerminalFinal,
          fmt::format("job {} left a terminal state", f.job.value()));
  job.state = f.state;
  if (is_terminal(f.state)) job.final_bill = job.charged;
  if (f.state == JobState::kSucceeded) {
    require(job.done.count() == job.units, rule::kUnitLanded,
            fmt::format("job {} succeeded with {} of {} units", f.job.value(), job.done.count(),
                        job.units));
  }
}

void Invariants::on(Time, const core::UnitsDone& f, bool live) {
  ShadowJob& job = jobs_[f.job];
  require(job.done.intersection(f.units).empty(), rule::kUnitOnce,
          fmt::format("units of job {} are done again", f.job.value()));
  require(!is_terminal(job.state), rule::kTerminalFinal, "units of an ended job");
  if (live) {
    require(seats_.count(f.seat) > 0, rule::kUnitByHeldSeat, text(f.seat) + " is not held");
    for (const UnitRange& range : f.units.ranges()) {
      for (UnitNumber unit = range.begin; unit < range.end; ++unit) {
        require(truth_.landed(f.job, unit), rule::kUnitLanded,
                fmt::format("unit {} of job {} is done and not durable", unit, f.job.value()));
      }
    }
  }
  job.done.add(f.units);
}

void Invariants::on(Time now, const core::SeatGranted& f) {
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
  require(use.memory_bytes <= device.memory_bytes, rule::kDeviceBudget,
          fmt::format("{} bytes of {} on device {} of worker {}", use.memory_bytes,
                      device.memory_bytes, f.device, f.worker.value()));
  require(use.share_ppm <= 1'000'000, rule::kShares, fmt::format("{} millionths", use.share_ppm));
  require(use.threads <= device.threads, rule::kDeviceBudget,
          fmt::format("{} threads of {}", use.threads, device.threads));
  require(seats_.count(f.seat) == 0, rule::kSlices, text(f.seat) + " was granted twice");
  ShadowSeat seat;
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

void Invariants::on(Time now, const core::SeatReleased& f, bool live) {
  const auto found = seats_.find(f.seat);
  require(found != seats_.end(), rule::kBill, text(f.seat) + " ended twice");
  const ShadowSeat& seat = found->second;
  require(
      f.used <= seat.funded_for, rule::kFunding,
      fmt::format("{} used {} ms of {}", text(f.seat), f.used.count(), seat.funded_for.count()));
  require(f.used <= now - seat.granted_at, rule::kBill,
          text(f.seat) + " used more than the time that passed");
  require(seat.used_charged == f.used, rule::kBill,
          fmt::format("{} used {} ms and was charged for {}", text(f.seat), f.used.count(),
                      seat.used_charged.count()));
  if (live && reported_end_ && reported_end_->seat == f.seat) {
    const Duration expected =
        std::min({reported_end_->used, seat.funded_for,
                  std::chrono::duration_cast<Duration>(now - seat.granted_at)});
    require(f.used == std::max(expected, Duration(0)), rule::kBill,
            fmt::format("{} reported {} ms and is billed for {}", text(f.seat), expected.count(),
                        f.used.count()));
  }
  const auto worker = workers_.find(seat.worker);
  if (worker != workers_.end()) {
    core::DeviceUse& use = worker->second.use[seat.device];
    use.memory_bytes -= seat.memory;
    use.threads -= seat.threads;
    use.share_ppm -= seat.share_ppm;
    --use.seats;
  }
  seats_.erase(found);
}

void Invariants::check_cuts(Time from, Time to, Time books_from, const char* what) const {
  require(from <= to, rule::kSlices, std::string(what) + " ends before it begins");
  require(to <= next_month_start(from), rule::kMonthCut, what);
  const auto set = books_.upper_bound(std::max(from, books_from));  // the next book that was set
  require(set == books_.end() || to <= set->first, rule::kPriceCut, what);
  if (set == books_.begin() || from < books_from) return;
  const auto change = std::prev(set)->second.next_change(from);
  require(!change || to <= *change, rule::kPriceCut, what);
}

void Invariants::on(Time now, const core::UsageCharged& f) {
  const auto found = seats_.find(f.seat);
  require(found != seats_.end(), rule::kTerminalFinal, text(f.seat) + " is charged and not held");
  ShadowSeat& seat = found->second;
  require(f.to <= now, rule::kSlices, "a slice of the future");
  require(f.from >= seat.slice_end, rule::kSlices, text(f.seat) + " is charged twice for one time");
  require(seat.used_charged + f.used <= seat.funded_for, rule::kFunding,
          fmt::format("{} is billed for more than {} ms", text(f.seat), seat.funded_for.count()));
  require(f.used <= f.to - f.from, rule::kSlices,
          text(f.seat) + ": a slice holds more use than time");
  check_cuts(f.from, f.to, f.from, "a slice of a seat");
  const ledger::Int128 expected =
      ledger::Int128{f.device_price_per_hour.micros} * f.used.count() * seat.share_ppm;
  require(f.charge.units == expected, rule::kBill,
          text(f.seat) + ": charge is not price x use x share");
  seat.slice_end = f.to;
  seat.used_charged += f.used;
  seat.charged += f.charge;
  ShadowJob& job = jobs_[f.seat.job];
  require(!is_terminal(job.state), rule::kTerminalFinal, "a bill moved after the job's end");
  job.charged += f.charge;
  if (job.cap) {
    require(job.charged <= ledger::charge_of(*job.cap), rule::kCap,
            fmt::format("job {} passed its cap", f.seat.job.value()));
  }
  workers_[seat.worker].jobs_in_slice += f.charge;
}

Money Invariants::price_of_machine(const ShadowWorker& worker, Time at) const {
  if (worker.own_price) return *worker.own_price;
  Money sum;
  auto book = books_.upper_bound(at);
  if (book == books_.begin()) return sum;
  --book;
  for (const DeviceInfo& device : worker.machine.devices) {
    const auto entry = book->second.find(at, device.kind, worker.supplier, worker.spot);
    if (entry) sum = sum + entry->per_hour;
  }
  return sum;
}

void Invariants::on(Time now, const core::MachineCharged& f) {
  ShadowWorker& worker = workers_[f.worker];
  require(f.from == worker.slice_from && f.to <= now && f.from <= f.to, rule::kMachines,
          fmt::format("a gap or an overlap in the cost of machine {}", f.worker.value()));
  // Before its first Hello it has no devices and so no price that may change.
  const Time connected = worker.first_connected.value_or(now);
  check_cuts(f.from, f.to, connected, "a slice of a machine");
  if (connected <= f.from) {
    const ledger::Charge expected =
        ledger::charge_for(price_of_machine(worker, f.from), f.to - f.from, 1'000'000);
    require(f.total == expected, rule::kMachines,
            fmt::format("machine {}: its cost is not price x time", f.worker.value()));
  }
  require(f.jobs <= worker.jobs_in_slice, rule::kMachines,
          fmt::format("machine {}: its jobs were charged another sum", f.worker.value()));
  require(f.jobs.units >= 0 && f.lost.units >= 0 && f.jobs + f.lost <= f.total, rule::kMachines,
          fmt::format("machine {}: idle would be negative", f.worker.value()));
  worker.slice_from = f.to;
  worker.jobs_in_slice -= f.jobs;
}

void Invariants::on(Time now, const core::WorkerStateChanged& f, bool live) {
  ShadowWorker& worker = workers_[f.worker];
  worker.state = f.state;
  if (f.state == core::WorkerState::kRemoved) {
    require(worker.slice_from == now, rule::kMachines,
            fmt::format("machine {} was removed before its cost was settled", f.worker.value()));
    require(worker.jobs_in_slice.units == 0, rule::kMachines,
            fmt::format("machine {}: a charge of its jobs is in no slice", f.worker.value()));
    for (const auto& [device, use] : worker.use) {
      require(use.seats == 0, rule::kMachines, "a removed worker holds a seat");
    }
  }
  if (!live || removing_ || f.state != core::WorkerState::kLost) return;
  if (!worker.last_contact || *worker.last_contact < started_at_) {
    require(now - started_at_ >= config_.grace_after_start, rule::kGrace,
            fmt::format("worker {} was lost {} ms after a restart: {}", f.worker.value(),
                        (now - started_at_).count(), f.reason));
  } else {
    require(now - *worker.last_contact >= config_.lost_after, rule::kGrace,
            fmt::format("worker {} was lost after {} ms of silence: {}", f.worker.value(),
                        (now - *worker.last_contact).count(), f.reason));
  }
}

void Invariants::on(Time, const core::ReportsProcessed& f) {
  ShadowWorker& worker = workers_[f.worker];
  require(f.incarnation == worker.incarnation, rule::kOldIncarnation,
          "reports of an old incarnation");
  require(
      f.number == worker.processed + 1, rule::kReportsInOrder,
      fmt::format("worker {}: report {} after {}", f.worker.value(), f.number, worker.processed));
  worker.processed = f.number;
}

void Invariants::check_stale(const core::Event& event, const core::Outcome& out) const {
  for (const core::Fact& fact : out.facts) {
    const bool about_work = std::holds_alternative<core::UnitsDone>(fact) ||
                            std::holds_alternative<core::ReportsProcessed>(fact) ||
                            std::holds_alternative<core::UnitsFailedCounted>(fact) ||
                            std::holds_alternative<core::SeatReleased>(fact);
    require(
        !about_work, rule::kOldIncarnation,
        fmt::format("event {} of an old incarnation made fact {}", event.index(), fact.index()));
  }
}

void Invariants::check_job(Time now, const core::Job& job) const {
  if (job.demand.cap) {
    require(job.charged + job.reserved <= ledger::charge_of(*job.demand.cap), rule::kCap,
            fmt::format("job {}: charged and reserved pass its cap", job.id.value()));
  }
  const bool may_hold = job.state == JobState::kStarting || job.state == JobState::kRunning ||
                        job.state == JobState::kStopping || job.state == JobState::kQueued;
  require(
      !is_terminal(job.state) || job.seats.empty(), rule::kTerminalFinal,
      fmt::format("job {} has ended and holds seats that are still to be billed", job.id.value()));
  require(may_hold || job.seats.empty(), rule::kIdleHoldsNothing,
          fmt::format("job {} holds {} seats", job.id.value(), job.seats.size()));
  const auto shadow = jobs_.find(job.id);
  require(shadow != jobs_.end(), rule::kReplay, "a job that no fact made");
  require(job.charged == shadow->second.charged, rule::kBill,
          fmt::format("job {}: its bill is not the sum of its slices", job.id.value()));
  require(job.done == shadow->second.done, rule::kReplay, "done units differ");
  if (is_terminal(job.state)) {
    require(job.charged == shadow->second.final_bill, rule::kTerminalFinal, "a final bill moved");
    require(job.reserved.units == 0, rule::kTerminalFinal, "an ended job reserves money");
  }
  for (const auto& [number, seat] : job.seats) {
    if (!seat.stopping) continue;
    const Time since = std::max(seat.stopping_at, started_at_);
    const Duration most =
        job.demand.stop_time + config_.lost_after + config_.grace_after_start + Duration(60'000);
    require(now - since <= most, rule::kStopDeadline,
            fmt::format("{} is stopping for {} ms", text(seat.key), (now - since).count()));
  }
}

void Invariants::check_touched(Time now, const core::Outcome& out,
                               const core::ClusterState& state) const {
  for (const JobId id : out.jobs_touched) {
    const core::Job* job = state.find_job(id);
    if (job != nullptr) check_job(now, *job);
  }
}

void Invariants::check_all(Time now, const core::ClusterState& state) const {
  require(state == state_, rule::kReplay, "the scheduler's state is not what its facts say");
  for (const auto& [id, job] : state.jobs) check_job(now, job);
  std::size_t held = 0;
  for (const auto& [id, job] : state.jobs) held += job.seats.size();
  require(held == seats_.size(), rule::kReplay, "seats without a job");
  for (const auto& [id, worker] : state.workers) {
    require(worker.jobs + worker.lost <= worker.total, rule::kMachines, "idle would be negative");
  }
}

void Invariants::check_leaving(const core::Effect& effect) const {
  if (const auto* e = std::get_if<core::AcknowledgeReports>(&effect)) {
    const auto worker = workers_.find(e->worker);
    const bool durable =
        worker != workers_.end() &&
        (worker->second.incarnation != e->incarnation || worker->second.processed >= e->number);
    require(durable, rule::kAcknowledged,
            fmt::format("report {} is acknowledged and not durable", e->number));
  } else if (const auto* r = std::get_if<core::Reply>(&effect)) {
    require(!r->status.ok() || !r->job.valid() || jobs_.count(r->job) > 0 || r->repeated,
            rule::kAcknowledged, "a job is acknowledged and not durable");
  } else if (const auto* o = std::get_if<core::OfferSeat>(&effect)) {
    require(state_.find_seat(o->seat) != nullptr || jobs_.count(o->seat.job) > 0,
            rule::kAcknowledged, text(o->seat) + " is offered and not durable");
  } else if (const auto* w = std::get_if<core::Welcome>(&effect)) {
    for (const core::FundSeat& kept : w->keep) {
      const core::Seat* seat = state_.find_seat(kept.seat);
      if (seat == nullptr) continue;  // ended in a later turn that is committed too
      require(kept.funded_for <= seat->funded_for, rule::kFunding,
              text(kept.seat) + " is told more than its funds");
    }
  }
}

}  // namespace overwinter::simulation
