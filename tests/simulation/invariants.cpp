#include "tests/simulation/invariants.h"

#include <fmt/format.h>

#include <algorithm>

namespace overwinter::simulation {
namespace {

using core::JobState;

// Between a deadline and the step that acts on it: events queue behind turns in commit.
constexpr Duration kStepDelay{200};

// The worker that an event speaks for, and the incarnation it claims.
struct Speaker {
  WorkerId worker;
  Incarnation incarnation;
};
std::optional<Speaker> speaker_of(const core::Event& event) {
  if (const auto* e = std::get_if<core::WorkerHeartbeat>(&event))
    return Speaker{e->worker, e->incarnation};
  if (const auto* e = std::get_if<core::WorkerReported>(&event))
    return Speaker{e->worker, e->incarnation};
  if (const auto* e = std::get_if<core::WorkerHello>(&event))
    return Speaker{e->worker, e->incarnation};
  return std::nullopt;
}

}  // namespace

std::string seat_text(const SeatKey& key) {
  return fmt::format("seat {}/{}/{}", key.job.value(), key.attempt, key.number);
}

Invariants::Invariants(core::SchedulerConfig config, const Truth& truth)
    : config_(config), truth_(truth) {}

void Invariants::before_step(Time now, const core::Event& event) {
  stale_event_ = false;
  reported_end_.reset();
  done_jobs_.clear();
  const auto* action = std::get_if<core::WorkerActionRequested>(&event);
  removing_ = action != nullptr && action->action == core::WorkerAction::kRemove;
  if (const auto* submitted = std::get_if<core::JobSubmitted>(&event)) {
    const auto known = requests_.find({submitted->project, submitted->request_id});
    known_request_ = known == requests_.end() ? std::nullopt : std::optional(known->second);
  } else if (const auto* gone = std::get_if<core::WorkerDisconnected>(&event)) {
    const auto found = workers_.find(gone->worker);
    if (found != workers_.end() && found->second.incarnation == gone->incarnation) {
      found->second.connected = false;
    }
  } else if (const auto* stalled = std::get_if<core::LoopStalled>(&event)) {
    for (auto& [key, seat] : seats_) {
      if (seat.stop_by) *seat.stop_by += stalled->duration;
    }
  }
  const auto speaker = speaker_of(event);
  if (!speaker) return;
  const auto worker = workers_.find(speaker->worker);
  if (worker == workers_.end()) return;
  const bool hello = std::holds_alternative<core::WorkerHello>(event);
  stale_event_ = hello ? speaker->incarnation < worker->second.incarnation
                       : speaker->incarnation != worker->second.incarnation;
  if (stale_event_ || hello) return;  // a Hello is counted when it was not refused
  // What a stream had under way when it ended is no sign of life, nor a report behind a gap.
  const auto* report = std::get_if<core::WorkerReported>(&event);
  const bool gap = report != nullptr && report->number > worker->second.processed + 1;
  if (worker->second.connected && !gap) worker->second.last_contact = now;
  if (report != nullptr) {
    if (const auto* end = std::get_if<core::SeatEnded>(&report->report)) reported_end_ = *end;
  }
}

void Invariants::after_step(Time now, const core::Event& event, const core::Outcome& out,
                            const core::Scheduler& core) {
  if (stale_event_) check_stale(event, out);
  if (const auto* submitted = std::get_if<core::JobSubmitted>(&event))
    check_request(*submitted, out);
  for (const core::Fact& fact : out.facts) {
    apply(now, fact, true);
    trace_ = (trace_ ^ (fact.index() + 1)) * 0x100000001b3ULL;
  }
  trace_ = (trace_ ^ static_cast<std::uint64_t>(unix_ms(now))) * 0x100000001b3ULL;
  if (const auto* hello = std::get_if<core::WorkerHello>(&event)) {
    check_welcome(*hello, out, core.state());
    heard(now, *hello, out);
  }
  check_touched(now, out, core);
}

// With it begins a new time for seats that are stopping: their order is given again.
void Invariants::heard(Time now, const core::WorkerHello& hello, const core::Outcome& out) {
  const auto worker = workers_.find(hello.worker);
  const bool refused = std::any_of(out.effects.begin(), out.effects.end(), [](const auto& effect) {
    return std::holds_alternative<core::RefuseWorker>(effect);
  });
  if (refused || worker == workers_.end()) return;
  worker->second.connected = true;
  worker->second.last_contact = now;
  for (auto& [key, seat] : seats_) {
    if (seat.worker != hello.worker || !seat.stopping) continue;
    const Duration most = std::max(config_.lost_after, jobs_[key.job].stop_time + kStopMargin);
    seat.stop_by = std::max(seat.stop_by.value_or(now), now + most);
  }
}

void Invariants::check_welcome(const core::WorkerHello& hello, const core::Outcome& out,
                               const core::ClusterState& state) {
  for (const core::Effect& effect : out.effects) {
    const auto* welcome = std::get_if<core::Welcome>(&effect);
    if (welcome == nullptr || welcome->worker != hello.worker) continue;
    const std::set<SeatKey> dropped(welcome->drop.begin(), welcome->drop.end());
    for (const core::SeatStatus& said : hello.seats) {
      const core::Seat* seat = state.find_seat(said.seat);
      const bool held =
          seat != nullptr && seat->worker == hello.worker && seat->incarnation == hello.incarnation;
      require(held != (dropped.count(said.seat) > 0), rule::kWelcome, [&] {
        return seat_text(said.seat) +
               (held ? " is held and dropped" : " is not held and not dropped");
      });
    }
  }
}

// Nothing at all follows from it, but that a Hello is refused.
void Invariants::check_stale(const core::Event& event, const core::Outcome& out) {
  require(out.facts.empty(), rule::kOldIncarnation, [&] {
    return fmt::format("event {} of an old incarnation made fact {}", event.index(),
                       out.facts.front().index());
  });
  for (const core::Effect& effect : out.effects) {
    require(std::holds_alternative<core::RefuseWorker>(effect), rule::kOldIncarnation, [&] {
      return fmt::format("event {} of an old incarnation made effect {}", event.index(),
                         effect.index());
    });
  }
}

// The id of a job that is kept gives that job and makes no other.
void Invariants::check_request(const core::JobSubmitted& event, const core::Outcome& out) const {
  if (!known_request_) return;
  for (const core::Fact& fact : out.facts) {
    require(!std::holds_alternative<core::JobAccepted>(fact), rule::kRequestOnce,
            [&] { return "request id " + event.request_id + " made two jobs"; });
  }
  for (const core::Effect& effect : out.effects) {
    const auto* reply = std::get_if<core::Reply>(&effect);
    require(reply == nullptr || (reply->repeated && reply->job == *known_request_),
            rule::kRequestOnce,
            [&] { return "request id " + event.request_id + " was answered with another job"; });
  }
}

void Invariants::replayed(Time time, const std::vector<core::Fact>& facts) {
  for (const core::Fact& fact : facts) apply(time, fact, false);
}

void Invariants::coordinator_started(Time now) {
  started_at_ = now;
}

bool Invariants::remembers(JobId job, const std::string& request_id) const {
  const auto kept = jobs_.find(job);
  if (kept != jobs_.end()) return kept->second.request_id == request_id;
  const auto gone = forgotten_.find(job);
  return gone != forgotten_.end() && gone->second == request_id;
}

// ---- state against bookkeeping

void Invariants::check_job(Time now, const core::Job& job) const {
  const auto id = job.id.value();
  require(!job.demand.cap || job.charged + job.reserved <= ledger::charge_of(*job.demand.cap),
          rule::kCap, [&] { return fmt::format("job {}: charged and reserved pass its cap", id); });
  const bool may_hold = job.state == JobState::kStarting || job.state == JobState::kRunning ||
                        job.state == JobState::kStopping;
  require(!is_terminal(job.state) || job.seats.empty(), rule::kTerminalFinal, [&] {
    return fmt::format("job {} has ended and holds seats that are still to be billed", id);
  });
  require(may_hold || job.seats.empty(), rule::kIdleHoldsNothing,
          [&] { return fmt::format("job {} holds {} seats", id, job.seats.size()); });
  const auto shadow = jobs_.find(job.id);
  require(shadow != jobs_.end() && shadow->second.state == job.state, rule::kReplay,
          [&] { return fmt::format("job {} is not what its facts say", id); });
  require(job.charged == shadow->second.charged, rule::kBill,
          [&] { return fmt::format("job {}: its bill is not the sum of its slices", id); });
  require(job.charged >= job.wasted + job.gang_wait && job.wasted == shadow->second.wasted &&
              job.gang_wait == shadow->second.gang_wait,
          rule::kGangWait, [&] {
            return fmt::format("job {} wasted and waited for other sums than its seats", id);
          });
  require(job.done == shadow->second.done, rule::kReplay, "done units differ");
  if (job.gang()) check_gang(now, job);
  ledger::Charge reserved;
  for (const auto& [number, seat] : job.seats) {
    check_seat(now, job, seat);
    reserved += seat.reserved - seat.charged;
  }
  if (is_terminal(job.state)) {
    require(job.charged == shadow->second.final_bill, rule::kTerminalFinal, "a final bill moved");
    require(job.reserved.units == 0, rule::kTerminalFinal, "an ended job reserves money");
  }
  require(job.reserved == reserved, rule::kReserved,
          [&] { return fmt::format("job {} reserves another sum than its seats", id); });
}

void Invariants::check_seat(Time now, const core::Job& job, const core::Seat& seat) const {
  const auto found = seats_.find(seat.key);
  require(found != seats_.end() && found->second.worker == seat.worker, rule::kReplay,
          [&] { return seat_text(seat.key) + " is not what its facts say"; });
  const ShadowSeat& shadow = found->second;
  require(seat.charged == shadow.charged && seat.used_charged == shadow.used_charged, rule::kBill,
          [&] { return seat_text(seat.key) + ": its bill is not the sum of its slices"; });
  const ledger::Int128 rest = ledger::Int128{seat.device_price_per_hour.micros} *
                              (seat.funded_for - seat.used_charged).count() * shadow.share_ppm;
  require(seat.reserved.units == seat.charged.units + rest, rule::kReserved, [&] {
    return seat_text(seat.key) + ": another sum is reserved than its funds may cost";
  });
  if (!seat.stopping || !shadow.stop_by) return;
  const auto worker = workers_.find(seat.worker);
  if (worker == workers_.end() || !worker->second.connected) return;  // its silence decides
  require(now <= *shadow.stop_by + kStepDelay, rule::kStopDeadline, [&] {
    return fmt::format("{} of job state {} is there {} ms after it", seat_text(seat.key),
                       static_cast<int>(job.state), (now - *shadow.stop_by).count());
  });
}

void Invariants::check_worker(const core::Worker& worker) const {
  const auto id = worker.id.value();
  const auto found = workers_.find(worker.id);
  require(found != workers_.end() && found->second.state == worker.state &&
              found->second.incarnation == worker.incarnation &&
              found->second.processed == worker.reports_processed,
          rule::kReplay, [&] { return fmt::format("worker {} is not what its facts say", id); });
  const ShadowWorker& shadow = found->second;
  std::size_t seats = 0;
  for (std::size_t d = 0; d < shadow.use.size(); ++d) {
    require(d < worker.use.size() && worker.use[d] == shadow.use[d], rule::kDeviceBudget,
            [&] { return fmt::format("device {} of worker {}: its use is another", d, id); });
    seats += shadow.use[d].seats;
  }
  require(worker.seats.size() == seats, rule::kReplay,
          [&] { return fmt::format("worker {} holds {} seats", id, worker.seats.size()); });
  require(worker.busy_since.has_value() == (seats > 0) && worker.busy.size() <= core::kBusySpansMax,
          rule::kReplay, [&] { return fmt::format("worker {} is busy without a seat", id); });
  ledger::Charge open = worker.jobs_in_slice;
  for (const auto& [from, later] : worker.jobs_later) open += later;
  require(open == shadow.open_jobs && worker.total == shadow.total && worker.jobs == shadow.jobs &&
              worker.lost == shadow.lost && worker.slice_from == shadow.slice_from,
          rule::kMachines, [&] { return fmt::format("machine {} costs another sum", id); });
  require(worker.jobs + worker.lost <= worker.total, rule::kMachines,
          [&] { return fmt::format("machine {}: idle would be negative", id); });
}

// What is known besides the facts must not lose a unit: each that is not done waits in the pool or
// is out at a seat, or it would never be done.
void Invariants::check_units(const core::Job& job, const core::SoftState& soft) {
  const auto found = soft.jobs.find(job.id);
  if (found == soft.jobs.end() || job.terminal()) return;
  UnitRanges all = job.done;
  all.add(found->second.pool);
  for (const auto& [number, seat] : found->second.seats) all.add(seat.out);
  require(all.count() == job.demand.units, rule::kUnitsKept, [&] {
    return fmt::format("job {}: {} of {} units are known of", job.id.value(), all.count(),
                       job.demand.units);
  });
}

void Invariants::check_touched(Time now, const core::Outcome& out,
                               const core::Scheduler& core) const {
  for (const JobId id : out.jobs_touched) {
    const core::Job* job = core.state().find_job(id);
    if (job == nullptr) continue;
    check_job(now, *job);
    check_units(*job, core.soft());
  }
  for (const WorkerId id : out.workers_touched) {
    const core::Worker* worker = core.state().find_worker(id);
    if (worker != nullptr) check_worker(*worker);
  }
}

// What jobs were charged is what machines and projects were charged for them, to the last unit.
void Invariants::check_sums(const core::ClusterState& state) const {
  ledger::Charge machines;
  for (const auto& [id, worker] : workers_) machines += worker.jobs + worker.open_jobs;
  require(machines == charged_, rule::kMachines, "jobs and machines were charged different sums");
  ledger::Charge projects;
  for (const auto& [name, project] : state.projects) projects += project.charged;
  require(projects == charged_, rule::kBill, "jobs and projects were charged different sums");
}

void Invariants::check_all(Time now, const core::Scheduler& core) const {
  const core::ClusterState& state = core.state();
  require(state == state_, rule::kReplay, "the scheduler's state is not what its facts say");
  std::size_t held = 0;
  for (const auto& [id, job] : state.jobs) {
    check_job(now, job);
    check_units(job, core.soft());
    held += job.seats.size();
  }
  require(held == seats_.size(), rule::kReplay, "seats without a job");
  for (const auto& [id, worker] : state.workers) check_worker(worker);
  check_sums(state);
}

void Invariants::check_leaving(const core::Effect& effect) const {
  if (const auto* e = std::get_if<core::AcknowledgeReports>(&effect)) {
    const auto worker = workers_.find(e->worker);
    const bool durable =
        worker != workers_.end() &&
        (worker->second.incarnation != e->incarnation || worker->second.processed >= e->number);
    require(durable, rule::kAcknowledged,
            [&] { return fmt::format("report {} is acknowledged and not durable", e->number); });
  } else if (const auto* r = std::get_if<core::Reply>(&effect)) {
    require(!r->status.ok() || !r->job.valid() || jobs_.count(r->job) > 0 ||
                forgotten_.count(r->job) > 0,
            rule::kAcknowledged, "a job is acknowledged and not durable");
  } else if (const auto* o = std::get_if<core::OfferSeat>(&effect)) {
    require(state_.find_seat(o->seat) != nullptr || jobs_.count(o->seat.job) > 0 ||
                forgotten_.count(o->seat.job) > 0,
            rule::kAcknowledged,
            [&] { return seat_text(o->seat) + " is offered and not durable"; });
  } else if (const auto* w = std::get_if<core::Welcome>(&effect)) {
    for (const core::FundSeat& kept : w->keep) {
      const core::Seat* seat = state_.find_seat(kept.seat);
      if (seat == nullptr) continue;  // ended in a later turn that is committed too
      require(kept.funded_for <= seat->funded_for, rule::kFunding,
              [&] { return seat_text(kept.seat) + " is told more than its funds"; });
    }
  }
}

}  // namespace overwinter::simulation
