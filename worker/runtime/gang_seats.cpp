#include "worker/runtime/gang_seats.h"

#include <utility>
#include <vector>

namespace overwinter::worker {
namespace {

GangKey attempt_of(const SeatKey& seat) {
  return {seat.job, seat.attempt};
}

}  // namespace

GangSeats::GangSeats(Parts parts, GangPlaces places, GangPrograms programs, PeerLaunches& peers)
    : parts_{parts.worker, parts.devices, {}, std::move(parts.post)},
      launcher_(
          std::make_unique<GangLauncher>(std::move(places), std::move(programs), peers, *this)) {
  parts_.make_work = [make = std::move(parts.make), launcher = launcher_.get()](
                         const GangKey& key, const OfferSeat& offer, GangWorkObserver& observer) {
    return make(*launcher, key, offer, observer);
  };
}

GangSeats::~GangSeats() {
  // An attempt may be in a call of the launcher, and waits for no event of it.
  for (const GangKey& key : launcher_->running()) launcher_->end(key, Duration(0));
  std::map<GangKey, std::shared_ptr<GangAttempt>> all;
  {
    const MutexLock lock(mutex_);
    all.swap(attempts_);
  }
  all.clear();
  launcher_.reset();
}

std::shared_ptr<GangAttempt> GangSeats::find(const SeatKey& seat) {
  const MutexLock lock(mutex_);
  const auto at = attempts_.find(attempt_of(seat));
  return at == attempts_.end() ? nullptr : at->second;
}

void GangSeats::drop_finished() {
  std::vector<std::shared_ptr<GangAttempt>>
      gone;  // destroyed without the lock: they wait for threads
  const MutexLock lock(mutex_);
  for (auto at = attempts_.begin(); at != attempts_.end();) {
    if (at->second->finished()) {
      gone.push_back(std::move(at->second));
      at = attempts_.erase(at);
    } else {
      ++at;
    }
  }
}

void GangSeats::begin(const OfferSeat& offer) {
  drop_finished();
  std::shared_ptr<GangAttempt> one;
  {
    const MutexLock lock(mutex_);
    std::shared_ptr<GangAttempt>& slot = attempts_[attempt_of(offer.seat)];
    if (!slot) slot = std::make_shared<GangAttempt>(attempt_of(offer.seat), parts_);
    one = slot;
  }
  one->begin(offer);
}

void GangSeats::launch(const LaunchGang& order) {
  if (const auto one = find(order.seat)) one->launch(order);
}

void GangSeats::wind_down(const SeatKey& seat) {
  if (const auto one = find(seat)) one->wind_down();
}

void GangSeats::kill(const SeatKey& seat) {
  if (const auto one = find(seat)) one->kill(seat);
}

void GangSeats::renew(const SeatKey& seat, const std::string& capability) {
  if (const auto one = find(seat)) one->renew(seat, capability);
}

void GangSeats::end(const SeatKey& seat) {
  if (const auto one = find(seat)) one->end(seat);
}

void GangSeats::gang_event(const GangKey& gang, const GangEvent& event) {
  std::shared_ptr<GangAttempt> one;
  {
    const MutexLock lock(mutex_);
    if (const auto at = attempts_.find(gang); at != attempts_.end()) one = at->second;
  }
  if (one) one->heard(event);
}

}  // namespace overwinter::worker
