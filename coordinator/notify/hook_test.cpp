#include "coordinator/notify/hook_test.h"

#include <atomic>
#include <chrono>
#include <utility>

namespace overwinter::notify {

struct HookTest::Run {
  std::atomic<bool> over{false};  // its thread has nothing left to do
  Mutex mutex;
  Condition changed;
  std::vector<Delivery> deliveries OW_GUARDED_BY(mutex);
  std::size_t open OW_GUARDED_BY(mutex) = 0;
  bool stopping OW_GUARDED_BY(mutex) = false;
};

Status HookTest::begin(Letters letters, Done done) {
  const MutexLock lock(mutex_);
  if (stopped_) return error(Code::kUnavailable, "the coordinator is stopping");
  if (run_ && !run_->over) {
    return error(Code::kResourceExhausted, "another test of hooks is under way", {},
                 "try again in a moment");
  }
  if (thread_.joinable()) thread_.join();
  run_ = std::make_shared<Run>();
  thread_ = std::thread(
      [run = run_, time = post_time_, letters = std::move(letters), done = std::move(done)] {
        work(run, time, letters, done);
        run->over = true;
      });
  return Status::success();
}

void HookTest::stop() {
  const MutexLock lock(mutex_);
  stopped_ = true;
  if (run_) {
    const MutexLock of_run(run_->mutex);
    run_->stopping = true;
    run_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void HookTest::work(const std::shared_ptr<Run>& run, Duration post_time, const Letters& letters,
                    const Done& done) {
  const auto until = std::chrono::steady_clock::now() + kTestTime;
  const auto sent = letters();
  if (!sent) return done(fail(sent.error()));
  std::vector<std::unique_ptr<HttpPost>> posts;
  std::vector<std::thread> threads;
  {
    const MutexLock lock(run->mutex);
    run->open = sent->size();
    for (const Letter& letter : *sent)
      run->deliveries.push_back({letter.hook, false, "gave no answer in time"});
  }
  for (std::size_t i = 0; i < sent->size(); ++i) {
    HttpPost& http = *posts.emplace_back(std::make_unique<HttpPost>());
    threads.emplace_back([run, i, post_time, &http, &letter = (*sent)[i]] {
      const PostAnswer answer = http.post(letter.url, letter.body, post_time);
      const MutexLock lock(run->mutex);
      run->deliveries[i].delivered = answer.delivered;
      run->deliveries[i].message = answer.message;
      --run->open;
      run->changed.notify_all();
    });
  }
  std::vector<Delivery> out;
  {
    const MutexLock lock(run->mutex);
    while (run->open > 0 && !run->stopping && std::chrono::steady_clock::now() < until)
      run->changed.wait_until(run->mutex, until);
    out = run->deliveries;
  }
  // Before the threads are joined: a name may be looked up for longer than anybody waits.
  done(std::move(out));
  for (auto& http : posts) http->cancel();
  for (auto& thread : threads) thread.join();
}

}  // namespace overwinter::notify
