#include "worker/runtime/worker_loop.h"

#include <future>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/log.h"

namespace overwinter::worker {
namespace {

// Orders of the coordinator that may wait here before its stream is no longer read.
constexpr std::size_t kQueueMark = 4096;

}  // namespace

WorkerLoop::WorkerLoop(const WorkerCoreConfig& config, WorkerLoopParts parts)
    : parts_(std::move(parts)), core_(config) {}

WorkerLoop::~WorkerLoop() {
  // Work is freed where it computes, so that no executor is left with a task of a seat that is
  // gone.
  for (auto& [key, seat] : seats_) {
    if (seat.offer.gang) continue;
    Device& device = *(*parts_.devices)[seat.offer.device];
    if (seat.work) seat.work->abandon(UnitRanges({0, ~UnitNumber{0}}));
    std::promise<void> freed;
    device.post([&] {
      {
        const MutexLock lock(mutex_);
        made_.erase(key);
      }
      seat.work.reset();
      freed.set_value();
    });
    freed.get_future().wait();
  }
}

Moment WorkerLoop::now() const {
  return Moment(std::chrono::duration_cast<Duration>(parts_.clock->monotonic()));
}

void WorkerLoop::post(Input input) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(input));
  }
  arrived_.notify_one();
}

bool WorkerLoop::post_orders(std::vector<Input> inputs) {
  bool room = true;
  {
    const MutexLock lock(mutex_);
    for (Input& input : inputs) queue_.push_back(std::move(input));
    room = queue_.size() < kQueueMark;
    wants_room_ = !room;
  }
  arrived_.notify_one();
  return room;
}

void WorkerLoop::set_room_callback(std::function<void()> have_room) {
  const MutexLock lock(mutex_);
  have_room_ = std::move(have_room);
}

void WorkerLoop::run() {
  while (!turn()) {
    const auto next = core_.next_wakeup();
    const MutexLock lock(mutex_);
    while (queue_.empty()) {
      if (!next) {
        arrived_.wait(mutex_);
        continue;
      }
      const Duration wait = *next - now();
      if (wait <= Duration(0)) break;
      arrived_.wait_for(mutex_, wait);
    }
  }
}

bool WorkerLoop::turn() {
  std::deque<Input> taken;
  std::function<void()> have_room;
  {
    const MutexLock lock(mutex_);
    taken.swap(queue_);
    if (std::exchange(wants_room_, false)) have_room = have_room_;
  }
  for (const Input& input : taken) {
    if (std::holds_alternative<StreamConnected>(input)) measure();
    step(input);
  }
  if (const auto next = core_.next_wakeup(); next && *next <= now()) {
    measure();
    step(TimerFired{});
  }
  if (have_room) have_room();
  return complete_;
}

// Just before it is said: a unit may take minutes. Seats of gangs are measured by their work.
void WorkerLoop::measure() {
  std::vector<SeatMeasured> all;
  for (const auto& [key, seat] : seats_) {
    if (!seat.work) continue;
    all.push_back({key, seat.work->memory_peak_bytes(), seat.work->memory_used_bytes()});
  }
  for (const SeatMeasured& one : all) step(one);
}

void WorkerLoop::step(const Input& input) {
  if (const auto* ready = std::get_if<SeatReady>(&input)) {
    std::shared_ptr<SeatWork> work;
    {
      const MutexLock lock(mutex_);
      const auto at = made_.find(ready->seat);
      if (at != made_.end()) {
        work = std::move(at->second);
        made_.erase(at);
      }
    }
    if (const auto at = seats_.find(ready->seat); at != seats_.end() && work) {
      at->second.work = work;
      // It may have been renewed while the seat began.
      work->renew(at->second.offer.capability);
    }
  }
  note(input);
  std::vector<Output> outputs;
  core_.step(now(), input, outputs);
  carry_out(outputs);
}

void WorkerLoop::note(const Input& input) {
  if (const auto* refused = std::get_if<SeatRefused>(&input)) {
    log_warning("seat {}: refused: {}", seat_name(refused->seat), refused->message);
    seats_.erase(refused->seat);
  } else if (const auto* closed = std::get_if<SeatClosed>(&input)) {
    seats_.erase(closed->seat);
  } else if (const auto* moved = std::get_if<SeatProgressed>(&input)) {
    const auto at = seats_.find(moved->seat);
    if (at != seats_.end() && moved->step > at->second.offer.from_step.value_or(0) &&
        !std::exchange(at->second.stepped, true)) {
      parts_.records->stepped(moved->seat, parts_.clock->monotonic());
    }
  } else if (const auto* failed = std::get_if<SeatFailed>(&input)) {
    log_error("seat {}: {}", seat_name(failed->seat), failed->message);
  } else if (const auto* stop = std::get_if<StopSeat>(&input)) {
    if (!stop->reason.empty()) log_info("seat {}: stops: {}", seat_name(stop->seat), stop->reason);
  } else if (const auto* welcome = std::get_if<Welcome>(&input)) {
    if (welcome->generation.valid() && welcome->generation != core_.generation() &&
        parts_.generation_changed) {
      parts_.generation_changed(welcome->generation);
    }
  }
  std::uint64_t acknowledged = 0;
  if (const auto* ack = std::get_if<Acknowledge>(&input)) acknowledged = ack->report;
  if (const auto* welcome = std::get_if<Welcome>(&input)) acknowledged = welcome->acknowledged;
  if (acknowledged > acknowledged_) {
    acknowledged_ = acknowledged;
    parts_.records->acknowledged(acknowledged);
  }
}

// Before a message leaves: what it says is in the records first.
void WorkerLoop::note(const Output& output) {
  if (const auto* heartbeat = std::get_if<SendHeartbeat>(&output)) {
    for (const SeatStatus& seat : heartbeat->seats) parts_.records->evidence(seat);
  } else if (const auto* hello = std::get_if<SendHello>(&output)) {
    for (const SeatStatus& seat : hello->seats) parts_.records->evidence(seat);
  } else if (const auto* report = std::get_if<SendReport>(&output)) {
    const auto* ended = std::get_if<SeatEnded>(&report->report);
    if (ended == nullptr) return;
    parts_.records->ended(*ended, report->number, parts_.clock->wall());
    log_info("seat {}: ended after {} ms, peak {}{}{}", seat_name(ended->seat), ended->used.count(),
             format_bytes(ended->memory_peak_bytes), ended->message.empty() ? "" : ": ",
             ended->message);
  }
}

std::shared_ptr<SeatWork> WorkerLoop::work_of(const SeatKey& key) const {
  const auto at = seats_.find(key);
  return at == seats_.end() ? nullptr : at->second.work;
}

GangSeats* WorkerLoop::gangs_of(const SeatKey& key) const {
  const auto at = seats_.find(key);
  return at != seats_.end() && at->second.offer.gang && parts_.gangs ? parts_.gangs() : nullptr;
}

// False: it is not about a seat of a gang.
bool WorkerLoop::carry_out_gang(const Output& output) {
  if (const auto* launch = std::get_if<LaunchSeat>(&output)) {
    if (GangSeats* gangs = gangs_of(launch->order.seat)) gangs->launch(launch->order);
    parts_.records->working(launch->order.seat, parts_.clock->monotonic());
    return true;
  }
  if (const auto* kill = std::get_if<KillSeat>(&output)) {
    if (GangSeats* gangs = gangs_of(kill->seat)) gangs->kill(kill->seat);
    return true;
  }
  if (const auto* wind = std::get_if<WindDownSeat>(&output)) {
    GangSeats* gangs = gangs_of(wind->seat);
    if (gangs != nullptr) gangs->wind_down(wind->seat);
    return gangs != nullptr;
  }
  if (const auto* end_seat = std::get_if<EndSeat>(&output)) {
    GangSeats* gangs = gangs_of(end_seat->seat);
    if (gangs != nullptr) gangs->end(end_seat->seat);
    return gangs != nullptr;
  }
  return false;
}

void WorkerLoop::carry_out(std::vector<Output>& outputs) {
  std::vector<Output> messages;
  for (Output& output : outputs) {
    if (carry_out_gang(output)) continue;
    if (std::holds_alternative<SendHello>(output) ||
        std::holds_alternative<SendHeartbeat>(output) ||
        std::holds_alternative<SendReport>(output)) {
      note(output);
      messages.push_back(std::move(output));
    } else if (const auto* begin_seat = std::get_if<BeginSeat>(&output)) {
      begin(begin_seat->offer);
    } else if (const auto* start_units = std::get_if<StartUnits>(&output)) {
      start(*start_units);
    } else if (const auto* abandon = std::get_if<AbandonUnits>(&output)) {
      if (auto work = work_of(abandon->seat)) work->abandon(abandon->units);
    } else if (const auto* wind = std::get_if<WindDownSeat>(&output)) {
      if (auto work = work_of(wind->seat)) work->wind_down(wind->within);
    } else if (const auto* renew = std::get_if<RenewCapability>(&output)) {
      if (auto at = seats_.find(renew->seat); at != seats_.end()) {
        at->second.offer.capability = renew->capability;
        if (GangSeats* gangs = gangs_of(renew->seat)) gangs->renew(renew->seat, renew->capability);
        if (at->second.work) at->second.work->renew(renew->capability);
      }
    } else if (const auto* end_seat = std::get_if<EndSeat>(&output)) {
      end(end_seat->seat);
    } else if (std::holds_alternative<ShutDownComplete>(output)) {
      complete_ = true;
    }
  }
  if (messages.empty()) return;
  // After the orders to executors: a seat need not wait for the disk, only what is said of it.
  parts_.records->sync();
  parts_.link->send(std::move(messages));
}

void WorkerLoop::start(const StartUnits& order) {
  const auto at = seats_.find(order.seat);
  if (at == seats_.end() || !at->second.work) return;
  const auto now = parts_.clock->monotonic();
  at->second.work->start(order.units);
  if (!std::exchange(at->second.started, true)) parts_.records->working(order.seat, now);
}

void WorkerLoop::begin(const OfferSeat& offer) {
  Device& device = *(*parts_.devices)[offer.device];
  seats_[offer.seat] = Seat{offer, nullptr, false, false};
  if (offer.gang) {
    GangSeats* gangs = gangs_of(offer.seat);
    if (gangs == nullptr) {
      return post(SeatRefused{offer.seat, "this worker takes part in no gangs"});
    }
    gangs->begin(offer);
    return note_begin(offer);
  }
  device.post([this, offer, &device] {
    auto work = parts_.make_work(offer, device, *parts_.artifacts,
                                 [this](Input input) { post(std::move(input)); });
    if (!work) {
      post(SeatRefused{offer.seat, work.error().message});
      return;
    }
    const std::uint32_t pipeline = (*work)->pipeline_units();
    {
      const MutexLock lock(mutex_);
      made_[offer.seat] = std::move(*work);
    }
    post(SeatReady{offer.seat, pipeline});
  });
  note_begin(offer);
}

void WorkerLoop::note_begin(const OfferSeat& offer) {
  log_info("seat {}: begins on device {} with {} for {}", seat_name(offer.seat), offer.device,
           format_bytes(offer.memory_bytes), offer.job);
  parts_.records->began(offer, parts_.clock->wall(), parts_.clock->monotonic());
}

void WorkerLoop::end(const SeatKey& key) {
  const auto at = seats_.find(key);
  if (at == seats_.end()) return;
  Device& device = *(*parts_.devices)[at->second.offer.device];
  device.post([this, key, work = std::move(at->second.work)]() mutable {
    const std::uint64_t peak = work ? work->memory_peak_bytes() : 0;
    work.reset();
    post(SeatClosed{key, peak});
  });
}

}  // namespace overwinter::worker
