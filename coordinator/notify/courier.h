// Courier: one hook's messages, in their order, on a thread of its own: a receiver that hangs
// delays what it is to be told and nothing else.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/time.h"
#include "coordinator/notify/http_post.h"

namespace overwinter::notify {

struct Parcel {
  std::string owner;  // Notice::owner and key
  std::string key;
  std::string event;
  std::string body;
};

struct CourierPlan {
  std::size_t waiting_max = 1000;  // full: the oldest is dropped
  int retries = 5;
  // Three times as long each time: 5 s, 15 s, 45 s, 2 min, 7 min; about ten minutes in all.
  Duration first_wait{5'000};
  double spread = 0.25;  // each up to so much shorter or longer by chance
};

// How long to wait behind try `n`, the first being 1; `chance` from 0 to 1.
[[nodiscard]] Duration wait_before_retry(const CourierPlan& plan, int n, double chance);

struct CourierCounts {
  std::uint64_t delivered = 0;
  std::uint64_t failed = 0;   // given up
  std::uint64_t dropped = 0;  // for want of room
  std::uint64_t retried = 0;
  std::uint64_t waiting = 0;  // now, the one under way included
};

class Courier {
 public:
  // Called on the courier's thread for each parcel that was delivered or given up; not for what was
  // dropped or is left at the end. Must not block for long.
  using Done = std::function<void(const Parcel& parcel, bool delivered)>;

  Courier(std::string hook, HookUrl url, Done done, CourierPlan plan = {});
  ~Courier();  // ends what is under way; what waits is not sent
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  // Never waits. Any thread.
  void send(Parcel parcel);
  void set_url(HookUrl url);  // of the next try
  [[nodiscard]] CourierCounts counts() const;

 private:
  void work();
  // Tries until it is there, will never be, or the courier ends (false: it is left).
  [[nodiscard]] bool deliver(const Parcel& parcel);
  // False: the courier ends.
  [[nodiscard]] bool rest(Duration time);

  const std::string hook_;
  const Done done_;
  const CourierPlan plan_;
  HttpPost http_;
  mutable Mutex mutex_;
  Condition changed_;
  HookUrl url_ OW_GUARDED_BY(mutex_);
  std::deque<Parcel> waiting_ OW_GUARDED_BY(mutex_);
  CourierCounts counts_ OW_GUARDED_BY(mutex_);
  bool stopping_ OW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace overwinter::notify
