#include "coordinator/notify/courier.h"

#include <array>
#include <chrono>
#include <cmath>
#include <utility>

#include "common/base/log.h"
#include "common/security/random.h"

namespace overwinter::notify {
namespace {

double chance() {
  std::array<std::uint8_t, 2> bytes{};
  fill_random(bytes);
  return (bytes[0] * 256 + bytes[1]) / 65535.0;
}

}  // namespace

Duration wait_before_retry(const CourierPlan& plan, int n, double chance) {
  const double longer = static_cast<double>(plan.first_wait.count()) * std::pow(3.0, n - 1);
  return Duration(std::llround(longer * (1 + plan.spread * (2 * chance - 1))));
}

Courier::Courier(std::string hook, HookUrl url, Done done, CourierPlan plan)
    : hook_(std::move(hook)), done_(std::move(done)), plan_(plan), url_(std::move(url)) {
  thread_ = std::thread([this] { work(); });
}

Courier::~Courier() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  http_.cancel();
  thread_.join();
}

void Courier::send(Parcel parcel) {
  {
    const MutexLock lock(mutex_);
    if (waiting_.size() >= plan_.waiting_max) {
      waiting_.pop_front();
      ++counts_.dropped;
    }
    waiting_.push_back(std::move(parcel));
  }
  changed_.notify_all();
}

void Courier::set_url(HookUrl url) {
  const MutexLock lock(mutex_);
  url_ = std::move(url);
}

CourierCounts Courier::counts() const {
  const MutexLock lock(mutex_);
  CourierCounts out = counts_;
  out.waiting += waiting_.size();
  return out;
}

void Courier::work() {
  for (;;) {
    Parcel parcel;
    {
      const MutexLock lock(mutex_);
      counts_.waiting = 0;
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      if (stopping_) return;
      parcel = std::move(waiting_.front());
      waiting_.pop_front();
      counts_.waiting = 1;
    }
    if (!deliver(parcel)) return;
  }
}

bool Courier::deliver(const Parcel& parcel) {
  for (int tries = 1;; ++tries) {
    HookUrl url;
    {
      const MutexLock lock(mutex_);
      url = url_;
    }
    const PostAnswer answer = http_.post(url, parcel.body);
    const bool over = answer.delivered || !answer.again || tries > plan_.retries;
    {
      const MutexLock lock(mutex_);
      if (stopping_ && !answer.delivered) return false;
      if (!over) ++counts_.retried;
      if (answer.delivered) ++counts_.delivered;
      if (over && !answer.delivered) ++counts_.failed;
    }
    if (over) {
      if (!answer.delivered) {
        log_warning("hook {} was not told of {} ({}): {}", hook_, parcel.owner, parcel.event,
                    answer.message);
      }
      done_(parcel, answer.delivered);
      return true;
    }
    if (!rest(wait_before_retry(plan_, tries, chance()))) return false;
  }
}

bool Courier::rest(Duration time) {
  const auto until = std::chrono::steady_clock::now() + time;
  const MutexLock lock(mutex_);
  while (!stopping_ && std::chrono::steady_clock::now() < until) changed_.wait_until(mutex_, until);
  return !stopping_;
}

}  // namespace overwinter::notify
