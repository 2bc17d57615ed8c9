#include "worker/runtime/gang_attempt.h"

#include <algorithm>
#include <utility>

#include "worker/runtime/gang_members.h"

namespace overwinter::worker {

GangAttempt::GangAttempt(GangKey key, const GangAttemptParts& parts)
    : key_(key), parts_(parts), thread_([this](const std::stop_token& stop) { run(stop); }) {}

GangAttempt::~GangAttempt() {
  preparing_.request_stop();
  thread_.request_stop();
  arrived_.notify_all();
  thread_.join();
  std::shared_ptr<GangWork> last;  // ends without the lock: it still tells
  const MutexLock lock(mutex_);
  last.swap(work_);
}

void GangAttempt::post(std::function<void()> what) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(what));
  }
  arrived_.notify_all();
}

void GangAttempt::run(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] { arrived_.notify_all(); });
  while (!stop.stop_requested()) {
    std::function<void()> next;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stop.stop_requested()) arrived_.wait_for(mutex_, Duration(1000));
      if (stop.stop_requested()) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    next();
  }
}

bool GangAttempt::finished() const {
  const MutexLock lock(mutex_);
  return seats_.empty() && queue_.empty();
}

CheckpointAccess GangAttempt::access() const {
  const MutexLock lock(mutex_);
  CheckpointAccess access;
  access.seat = seats_.empty() ? SeatKey{key_.job, key_.attempt, 0} : seats_.begin()->first;
  access.capability = [this] {
    const MutexLock inner(mutex_);
    return capability_;
  };
  return access;
}

std::shared_ptr<GangWork> GangAttempt::work() const {
  const MutexLock lock(mutex_);
  return work_;
}

// ---- what the daemon asks for

void GangAttempt::begin(const OfferSeat& offer) {
  {
    const MutexLock lock(mutex_);
    capability_ = offer.capability;
    Seat seat;
    seat.offer = offer;
    seats_[offer.seat] = std::move(seat);
  }
  post([this, key = offer.seat] { prepare(key); });
}

void GangAttempt::prepare(const SeatKey& key) {
  OfferSeat offer;
  {
    const MutexLock lock(mutex_);
    const auto at = seats_.find(key);
    if (at == seats_.end()) return;
    offer = at->second.offer;
  }
  Status status = prepare_work(offer);
  std::optional<LimitingResource::Charge> memory;
  if (status.ok()) {
    Device& device = *(*parts_.devices)[offer.device];
    device.trim();  // the rank's process allocates what is charged here
    auto charge = device.memory().charge(offer.memory_bytes, "a rank");
    if (charge) {
      memory = std::move(*charge);
    } else {
      status = charge.error();
    }
  }
  const MutexLock lock(mutex_);
  if (!status.ok()) {
    seats_.erase(key);
    parts_.post(SeatRefused{key, status.message});
    return;
  }
  seats_[key].memory = std::move(*memory);
  parts_.post(SeatReady{key, 1});
}

// Once for all seats of this worker.
Status GangAttempt::prepare_work(const OfferSeat& offer) {
  if (preparing_.stop_requested()) return error(Code::kCancelled, "given up while it was prepared");
  if (prepared_) return Status::success();
  auto made = parts_.make_work(key_, offer, *this);
  if (!made) return made.error();
  {
    const MutexLock lock(mutex_);
    work_ = *made;
  }
  Status status = (*made)->prepare(offer, preparing_.get_token());
  prepared_ = status.ok();
  return status;
}

void GangAttempt::launch(const LaunchGang& order) {
  const auto ranks = ranks_of(order.members, parts_.worker);
  std::optional<GangSeatExited> past;
  bool first = false;
  {
    const MutexLock lock(mutex_);
    for (auto& [key, seat] : seats_) {
      if (const auto at = ranks.find(key); at != ranks.end()) seat.rank = at->second;
    }
    if (const auto at = seats_.find(order.seat); at != seats_.end()) at->second.launched = true;
    first = !std::exchange(started_, true);
    past = over_;
    if (past && seats_.contains(order.seat)) {
      seats_[order.seat].exited = true;
      past->seat = order.seat;
    }
  }
  if (past) return parts_.post(*past);
  if (!first) return;
  post([this, order] {
    if (const Status status = start(order); !status.ok()) {
      over({{}, GangOutcome::kFailed, {}, status.message});
    }
  });
}

Status GangAttempt::start(const LaunchGang& order) {
  std::vector<RankSeat> mine;
  std::shared_ptr<GangWork> work;
  {
    const MutexLock lock(mutex_);
    work = work_;
    for (const auto& [key, seat] : seats_) {
      if (!seat.rank) continue;
      const std::uint32_t threads = (*parts_.devices)[seat.offer.device]->info().threads;
      mine.push_back({*seat.rank, seat.offer.device, seat.offer.memory_bytes,
                      seat.offer.threads == 0 ? threads : seat.offer.threads});
    }
  }
  const auto ranks = ranks_of(order.members, parts_.worker);
  if (!work || mine.empty() || mine.size() != ranks.size())
    return error(Code::kFailedPrecondition, "a seat of the gang has ended");
  std::ranges::sort(mine, {}, &RankSeat::rank);
  return work->start(order, mine);
}

void GangAttempt::wind_down() {
  // Behind a start that is under way.
  post([this] {
    if (const auto running = work()) running->wind_down();
  });
}

void GangAttempt::kill(const SeatKey& key) {
  bool launched = false;
  {
    const MutexLock lock(mutex_);
    const auto at = seats_.find(key);
    launched = at != seats_.end() && at->second.launched;
  }
  if (!launched) {
    preparing_.request_stop();
    return;
  }
  post([this] {
    if (const auto running = work()) running->kill();
  });
}

void GangAttempt::renew(const SeatKey&, const std::string& capability) {
  const MutexLock lock(mutex_);
  capability_ = capability;
}

void GangAttempt::end(const SeatKey& key) {
  post([this, key] {
    std::uint64_t peak = 0;
    std::shared_ptr<GangWork> last;
    {
      const MutexLock lock(mutex_);
      if (const auto at = seats_.find(key); at != seats_.end()) {
        peak = at->second.memory_peak_bytes;
        seats_.erase(at);
      }
      if (seats_.empty()) last.swap(work_);
    }
    last.reset();
    parts_.post(SeatClosed{key, peak});
  });
}

void GangAttempt::heard(const GangEvent& event) {
  if (const auto running = work()) running->heard(event);
}

// ---- what the work says

void GangAttempt::up(std::uint32_t rank) {
  const MutexLock lock(mutex_);
  for (auto& [key, seat] : seats_) {
    if (seat.rank == rank) parts_.post(GangSeatUp{key});
  }
}

void GangAttempt::preparing() {
  const MutexLock lock(mutex_);
  for (auto& [key, seat] : seats_) parts_.post(SeatProgressed{key, seat.step, ++seat.activity});
}

void GangAttempt::moved(std::uint32_t rank, std::uint64_t step) {
  const MutexLock lock(mutex_);
  for (auto& [key, seat] : seats_) {
    if (seat.rank != rank) continue;
    seat.step = std::max(seat.step, step);
    parts_.post(SeatProgressed{key, seat.step, ++seat.activity});
  }
}

void GangAttempt::measured(std::uint32_t rank, const MemoryUse& use) {
  const MutexLock lock(mutex_);
  for (auto& [key, seat] : seats_) {
    if (seat.rank != rank) continue;
    seat.memory_peak_bytes = std::max(seat.memory_peak_bytes, use.peak_bytes);
    parts_.post(SeatMeasured{key, seat.memory_peak_bytes, use.used_bytes});
  }
}

void GangAttempt::unreachable(WorkerId worker, const std::string& why) {
  const MutexLock lock(mutex_);
  for (const auto& [key, seat] : seats_) {
    if (seat.launched) parts_.post(GangLaunchFailed{key, worker, why});
  }
}

void GangAttempt::over(const GangSeatExited& how) {
  const MutexLock lock(mutex_);
  over_ = how;
  for (auto& [key, seat] : seats_) {
    if (!seat.launched || std::exchange(seat.exited, true)) continue;
    GangSeatExited exited = how;
    exited.seat = key;
    parts_.post(exited);
  }
}

}  // namespace overwinter::worker
