#include "tests/simulation/worker_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/simulation/invariants.h"

namespace overwinter::simulation {
namespace {

constexpr Ms kTileRetry = 300;

core::SeatStatus to_core(const worker::SeatStatus& s) {
  return {s.seat,  s.used, s.held,     s.memory_peak_bytes, s.stopping,
          s.phase, s.step, s.activity, s.memory_used_bytes};
}
std::vector<core::SeatStatus> to_core(const std::vector<worker::SeatStatus>& all) {
  std::vector<core::SeatStatus> out;
  for (const auto& s : all) out.push_back(to_core(s));
  return out;
}

core::Report to_core(const worker::SendReport& r) {
  return std::visit(
      [](const auto& report) -> core::Report {
        using R = std::decay_t<decltype(report)>;
        if constexpr (std::is_same_v<R, worker::SeatBegan>) {
          return core::SeatBegan{report.seat};
        } else if constexpr (std::is_same_v<R, worker::SeatEnded>) {
          return core::SeatEnded{report.seat,    static_cast<core::SeatEnd>(report.end),
                                 report.used,    report.memory_peak_bytes,
                                 report.message, report.exit};
        } else if constexpr (std::is_same_v<R, worker::SeatPrepared>) {
          return core::SeatPrepared{report.seat};
        } else if constexpr (std::is_same_v<R, worker::LaunchFailedReport>) {
          return core::LaunchFailed{report.seat, report.unreachable, report.message};
        } else if constexpr (std::is_same_v<R, worker::UnitsReported>) {
          return core::UnitsReported{report.seat, report.units};
        } else {
          return core::UnitsFailed{report.seat, report.units, report.message};
        }
      },
      r.report);
}

worker::OfferSeat to_worker(const core::OfferSeat& o) {
  worker::OfferSeat out;
  out.seat = o.seat;
  out.device = o.device;
  out.memory_bytes = o.memory_bytes;
  out.threads = o.threads;
  out.funded_for = o.funded_for;
  out.stop_time = o.stop_time;
  out.gang = o.gang;
  out.from_step = o.from_step;
  return out;
}

}  // namespace

WorkerModel::WorkerModel(VirtualTime& time, Random& random, const WorkerPlan& plan,
                         std::size_t index, WorkerPort& port)
    : time_(time), random_(random), plan_(plan), index_(index), port_(port) {}

template <class Action>
void WorkerModel::later(Ms delay, Action action) {
  const std::uint64_t incarnation = incarnation_;
  time_.after(delay, [this, incarnation, action = std::move(action)]() mutable {
    if (!alive() || incarnation_ != incarnation) return;
    if (frozen_) {
      held_up_.emplace_back(std::move(action));
    } else {
      action();
    }
  });
}

void WorkerModel::start() {
  if (retired_) return;
  ++incarnation_;
  worker::WorkerCoreConfig config;
  config.incarnation = Incarnation(incarnation_);
  config.devices = static_cast<std::uint32_t>(plan_.machine.devices.size());
  core_ = std::make_unique<worker::WorkerCore>(config);
  memory_held_.assign(plan_.machine.devices.size(), 0);
  last_report_ = 0;
  port_.try_connect(index_);
}

void WorkerModel::crash() {
  if (alive()) port_.daemon_gone(index_, incarnation());
  core_.reset();
  work_.clear();
  waiting_.clear();
  held_up_.clear();
  armed_.reset();
  frozen_ = false;
  epoch_ = 0;
}

void WorkerModel::freeze(Ms until) {
  if (!alive() || frozen_) return;
  frozen_ = true;
  for (auto& [seat, work] : work_) work.late = true;
  const std::uint64_t incarnation = incarnation_;
  time_.at(until, [this, incarnation] {
    if (!alive() || incarnation_ != incarnation) return;
    frozen_ = false;
    auto waiting = std::move(held_up_);
    held_up_.clear();
    for (auto& action : waiting) {
      if (alive() && incarnation_ == incarnation) action();
    }
  });
}

void WorkerModel::connected(std::uint64_t epoch) {
  if (!alive()) return;
  if (epoch_ != 0) feed(worker::StreamLost{});
  epoch_ = epoch;
  feed(worker::StreamConnected{});
}

void WorkerModel::disconnected(std::uint64_t epoch) {
  if (!alive() || epoch_ != epoch) return;
  epoch_ = 0;
  feed(worker::StreamLost{});
  later(random_.between(100, 3000), [this] {
    if (epoch_ == 0) port_.try_connect(index_);
  });
}

void WorkerModel::receive(std::uint64_t epoch, const core::Effect& effect) {
  if (!alive() || epoch != epoch_) return;
  if (frozen_) {
    held_up_.push_back([this, epoch, effect] { receive(epoch, effect); });
    return;
  }
  if (const auto* e = std::get_if<core::OfferSeat>(&effect)) {
    landing_[e->seat.job] = e->landing;
    funded(e->seat, e->funded_for);
    feed(to_worker(*e));
  } else if (const auto* f = std::get_if<core::FundSeat>(&effect)) {
    funded(f->seat, f->funded_for);
    feed(worker::FundSeat{f->seat, f->funded_for, ""});
  } else if (const auto* h = std::get_if<core::HandOutUnits>(&effect)) {
    feed(worker::HandOutUnits{h->seat, h->units});
  } else if (const auto* r = std::get_if<core::ReclaimUnits>(&effect)) {
    feed(worker::ReclaimUnits{r->seat, r->units});
  } else if (const auto* s = std::get_if<core::StopSeat>(&effect)) {
    feed(worker::StopSeat{s->seat, "asked", s->at_once});
  } else if (const auto* l = std::get_if<core::LaunchGang>(&effect)) {
    for (const GangMember& member : l->members) {
      if (member.worker == id_) feed(worker::LaunchGang{member.seat, l->members, "token"});
    }
  } else if (const auto* a = std::get_if<core::AcknowledgeReports>(&effect)) {
    feed(worker::Acknowledge{a->number});
  } else if (const auto* w = std::get_if<core::Welcome>(&effect)) {
    worker::Welcome welcome;
    welcome.acknowledged = w->acknowledged;
    for (const auto& keep : w->keep) {
      funded(keep.seat, keep.funded_for);
      welcome.keep.push_back({keep.seat, keep.funded_for, ""});
    }
    welcome.drop = w->drop;
    for (const auto& offer : w->start) {
      landing_[offer.seat.job] = offer.landing;
      funded(offer.seat, offer.funded_for);
      welcome.start.push_back(to_worker(offer));
    }
    welcome.generation = Generation(1);
    feed(welcome);
  }
}

void WorkerModel::feed(const worker::Input& input) {
  std::vector<worker::Output> out;
  core_->step(moment(), input, out);
  const std::uint64_t incarnation = incarnation_;
  for (const worker::Output& output : out) {
    if (!alive() || incarnation_ != incarnation) return;
    act(output);
  }
  arm();
}

void WorkerModel::act(const worker::Output& output) {
  if (const auto* b = std::get_if<worker::BeginSeat>(&output)) {
    Work& work = work_[b->offer.seat];
    work.offer = b->offer;
    work.offered_at = time_.now();
    work.funded_for = b->offer.funded_for;
    if (plan_.hangs && random_.chance(0.1)) {
      work.hangs_until = time_.now() + random_.between(20'000, 120'000);
      work.late = true;
    }
    begin(b->offer);
  } else if (const auto* s = std::get_if<worker::StartUnits>(&output)) {
    for (const UnitRange& range : s->units.ranges()) {
      for (UnitNumber unit = range.begin; unit < range.end; ++unit) compute(s->seat, unit);
    }
  } else if (const auto* a = std::get_if<worker::AbandonUnits>(&output)) {
    Work& work = work_[a->seat];
    UnitRanges given_up = work.computing.intersection(a->units);
    given_up.add(work.delivering.intersection(a->units));
    work.computing.remove(given_up);
    work.delivering.remove(given_up);
    if (!given_up.empty())
      later(0, [this, seat = a->seat, given_up] { feed(worker::UnitsAbandoned{seat, given_up}); });
  } else if (const auto* l = std::get_if<worker::LaunchSeat>(&output)) {
    const auto from = work_[l->order.seat].offer.from_step.value_or(0);
    port_.gang_launched(index_, incarnation(), l->order, from);
  } else if (const auto* w = std::get_if<worker::WindDownSeat>(&output)) {
    if (work_[w->seat].offer.gang) port_.gang_stop(w->seat);
  } else if (const auto* k = std::get_if<worker::KillSeat>(&output)) {
    Work& work = work_[k->seat];
    if (!work.ready) {
      later(random_.between(0, 20), [this, seat = k->seat] { give_up(seat); });
    } else {
      port_.gang_kill(k->seat);
    }
  } else if (const auto* e = std::get_if<worker::EndSeat>(&output)) {
    const Ms hangs = std::max<Ms>(0, work_[e->seat].hangs_until - time_.now());
    later(hangs + random_.between(0, 20), [this, seat = e->seat] { close(seat); });
  } else if (const auto* hello = std::get_if<worker::SendHello>(&output)) {
    core::WorkerHello event;
    event.worker = id_;
    event.incarnation = hello->incarnation;
    event.machine = plan_.machine;
    event.seats = to_core(hello->seats);
    event.last_report = hello->last_report;
    port_.hello(index_, epoch_, std::move(event));
  } else if (const auto* heartbeat = std::get_if<worker::SendHeartbeat>(&output)) {
    port_.say(index_, epoch_,
              core::WorkerHeartbeat{id_, Incarnation(incarnation_), to_core(heartbeat->seats)});
  } else if (const auto* report = std::get_if<worker::SendReport>(&output)) {
    last_report_ = std::max(last_report_, report->number);
    port_.say(
        index_, epoch_,
        core::WorkerReported{id_, Incarnation(incarnation_), report->number, to_core(*report)});
  }
}

// Memory of a seat that is still closing is waited for; more than the device has is the core's
// fault.
void WorkerModel::begin(const worker::OfferSeat& offer) {
  if (offer.device >= memory_held_.size() ||
      offer.memory_bytes > plan_.machine.devices[offer.device].memory_bytes) {
    throw Violation(rule::kDeviceBudget, "a seat larger than its device was offered");
  }
  if (memory_held_[offer.device] + offer.memory_bytes >
      plan_.machine.devices[offer.device].memory_bytes) {
    work_[offer.seat].late = true;
    waiting_.push_back(offer);
    return;
  }
  memory_held_[offer.device] += offer.memory_bytes;
  const Ms takes = offer.gang ? random_.between(1, 3000) : random_.between(1, 100);
  later(takes, [this, seat = offer.seat] {
    const auto work = work_.find(seat);
    if (work == work_.end()) return;  // given up
    work->second.ready = true;
    feed(worker::SeatReady{seat, 2});
  });
}

// A cap holds with the coordinator down because of this alone: whatever arrives or does not, a seat
// is over when what it was told to be funded for is.
void WorkerModel::close(SeatKey seat) {
  const auto found = work_.find(seat);
  if (found != work_.end()) {
    const Work& work = found->second;
    const Ms ran = time_.now() - work.offered_at;
    require(work.late || Duration(ran) <= work.funded_for, rule::kCap, [&] {
      return fmt::format("a seat of job {} ran for {} ms and was funded for {}", seat.job.value(),
                         ran, work.funded_for.count());
    });
    memory_held_[work.offer.device] -= work.offer.memory_bytes;
    work_.erase(found);
  }
  for (const auto& offer : std::exchange(waiting_, {})) {
    if (work_.count(offer.seat) > 0) begin(offer);
  }
  feed(worker::SeatClosed{seat, 0});
}

// Its preparation is given up: what was held for it is free.
void WorkerModel::give_up(SeatKey seat) {
  const auto found = work_.find(seat);
  if (found == work_.end() || found->second.ready) return;
  const auto waits = [&](const worker::OfferSeat& offer) { return offer.seat == seat; };
  if (std::erase_if(waiting_, waits) == 0) {
    memory_held_[found->second.offer.device] -= found->second.offer.memory_bytes;
  }
  work_.erase(found);
  for (const auto& offer : std::exchange(waiting_, {})) {
    if (work_.count(offer.seat) > 0) begin(offer);
  }
  feed(worker::SeatRefused{seat, "given up"});
}

void WorkerModel::funded(SeatKey seat, Duration funded_for) {
  const auto work = work_.find(seat);
  if (work == work_.end()) return;
  work->second.funded_for = std::max(work->second.funded_for, funded_for);
}

WorkerModel::Words WorkerModel::words() const {
  Words words;
  words.id = id_;
  words.incarnation = incarnation();
  words.machine = plan_.machine;
  words.last_report = last_report_;
  for (const auto& [seat, work] : work_) {
    if (const auto status = core_->status(seat, moment())) words.seats.push_back(to_core(*status));
  }
  return words;
}

void WorkerModel::compute(SeatKey seat, UnitNumber unit) {
  work_[seat].computing.add({unit, unit + 1});
  const auto known = unit_ms_.find(seat.job);
  const std::int64_t ms = known == unit_ms_.end() ? 100 : known->second;
  const auto took = static_cast<Ms>(static_cast<double>(ms) / plan_.speed);
  later(took + random_.between(0, 5), [this, seat, unit] {
    const auto work = work_.find(seat);
    if (work == work_.end() || !work->second.computing.contains(unit)) return;
    work->second.computing.remove({unit, unit + 1});
    const auto landing = landing_.find(seat.job);
    if (landing != landing_.end() && landing->second == Landing::kReport) {
      feed(worker::UnitsCompleted{seat, UnitRanges({unit, unit + 1})});
    } else {
      deliver(seat, unit);
    }
  });
}

void WorkerModel::deliver(SeatKey seat, UnitNumber unit) {
  const bool wrong = plan_.lies && random_.chance(0.2);
  work_[seat].delivering.add({unit, unit + 1});
  port_.put_tile(index_, incarnation(), seat, unit, wrong);
}

// A delivery that was given up meanwhile is answered already.
bool WorkerModel::delivering(SeatKey seat, UnitNumber unit) const {
  const auto work = work_.find(seat);
  return work != work_.end() && work->second.delivering.contains(unit);
}

void WorkerModel::tile_answered(Incarnation from, SeatKey seat, UnitNumber unit, Verdict verdict) {
  if (!alive() || incarnation() != from) return;
  later(0, [this, seat, unit, verdict] {
    if (!delivering(seat, unit)) return;
    work_[seat].delivering.remove({unit, unit + 1});
    const UnitRanges units({unit, unit + 1});
    if (verdict == Verdict::kDelivered) {
      feed(worker::UnitsDelivered{seat, units});
    } else {
      feed(worker::UnitsFailed{seat, units, "the tile failed its check"});
    }
  });
}

void WorkerModel::tile_lost(Incarnation from, SeatKey seat, UnitNumber unit) {
  if (!alive() || incarnation() != from) return;
  later(kTileRetry, [this, seat, unit] {
    if (delivering(seat, unit)) deliver(seat, unit);
  });
}

void WorkerModel::tell(Incarnation to, const worker::Input& what) {
  if (!alive() || incarnation() != to) return;
  later(0, [this, what] { feed(what); });
}

GangPhase WorkerModel::phase(SeatKey seat) const {
  if (!alive()) return GangPhase::kNone;
  const auto status = core_->status(seat, moment());
  return status ? status->phase : GangPhase::kNone;
}

void WorkerModel::arm() {
  if (!alive()) return;
  const auto wanted = core_->next_wakeup();
  if (!wanted || (armed_ && *armed_ <= *wanted)) return;
  armed_ = *wanted;
  const Ms delay = std::max<Ms>(0, (*wanted - moment()).count());
  later(delay, [this, when = *wanted] {
    if (armed_ != when) return;
    armed_.reset();
    feed(worker::TimerFired{});
  });
}

}  // namespace overwinter::simulation
