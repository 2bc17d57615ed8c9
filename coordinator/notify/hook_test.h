// HookTest: tries hooks once, all at a time, past what waits for them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/notify/http_post.h"
#include "coordinator/notify/settings.h"

namespace overwinter::notify {

inline constexpr Duration kTestTime{15'000};

struct Delivery {
  std::string hook;
  bool delivered = false;
  std::string message;
};

// Thread-safe.
class HookTest {
 public:
  // What is to be sent where; called on the test's thread. An error is the test's answer.
  struct Letter {
    std::string hook;
    HookUrl url;
    std::string body;
  };
  using Letters = std::function<Result<std::vector<Letter>>()>;
  using Done = std::function<void(Result<std::vector<Delivery>>)>;

  explicit HookTest(Duration post_time = kPostTime) : post_time_(post_time) {}
  ~HookTest() { stop(); }
  HookTest(const HookTest&) = delete;
  HookTest& operator=(const HookTest&) = delete;

  // Never waits. After success `done` is called once, within kTestTime, on another thread.
  // RESOURCE_EXHAUSTED while another test is under way.
  Status begin(Letters letters, Done done);
  // Ends the one under way with what is there; no other begins.
  void stop();

 private:
  struct Run;
  static void work(const std::shared_ptr<Run>& run, Duration post_time, const Letters& letters,
                   const Done& done);

  const Duration post_time_;
  Mutex mutex_;
  std::shared_ptr<Run> run_ OW_GUARDED_BY(mutex_);
  std::thread thread_ OW_GUARDED_BY(mutex_);
  bool stopped_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::notify
