// BlockingPool: two threads for what may wait for a disk or take long: planning, artifact files,
// verification. Each kind of work has a budget of its own, so that a thousand uploads keep no tile
// waiting.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"

namespace overwinter::runtime {

enum class Work : std::uint8_t { kTile = 0, kCheck = 1, kRead = 2, kPlan = 3, kUpload = 4 };
inline constexpr std::size_t kWorkKinds = 5;

struct BlockingPoolConfig {
  std::size_t threads = 2;
  std::array<std::size_t, kWorkKinds> waiting_max{4096, 256, 4096, 1024, 1024};
  // At once: a check of a large result, a plan or an upload leaves a thread for tiles and reads.
  std::array<std::size_t, kWorkKinds> running_max{2, 1, 2, 1, 1};
};

// Thread-safe. Kinds take turns, so that none starves. At the end, what still waits is dropped
// unrun; callers keep nothing alive that only a task would free.
class BlockingPool {
 public:
  explicit BlockingPool(BlockingPoolConfig config);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // RESOURCE_EXHAUSTED when this kind's queue is full, UNAVAILABLE after stop().
  Status run(Work kind, std::function<void()> task);
  // Always taken: for the next step of something whose first step was taken by run(), and for what
  // the core ordered. Bounded by what started it.
  void run_vital(Work kind, std::function<void()> task);
  // Ends the running tasks' queue: no task begins after it; waits for those that run.
  void stop();

  [[nodiscard]] std::size_t waiting() const;

 private:
  void work();
  bool take(std::function<void()>& task, std::size_t& kind) OW_REQUIRES(mutex_);

  const BlockingPoolConfig config_;
  mutable Mutex mutex_;
  Condition changed_;
  std::array<std::deque<std::function<void()>>, kWorkKinds> queues_ OW_GUARDED_BY(mutex_);
  std::array<std::size_t, kWorkKinds> running_ OW_GUARDED_BY(mutex_){};
  std::size_t next_kind_ OW_GUARDED_BY(mutex_) = 0;
  bool stopping_ OW_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace overwinter::runtime
