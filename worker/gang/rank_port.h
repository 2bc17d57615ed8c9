// RankPort: what a rank may ask of its daemon and tell it, while it works.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "overwinter/v1/local.pb.h"
#include "worker/local/local_channel.h"

namespace overwinter::worker {

// An interface, so that tests run a task without a daemon. One thread: the rank's main thread.
class RankPort {
 public:
  virtual ~RankPort() = default;
  [[nodiscard]] virtual const v1::RankTask& task() const = 0;

  // Never blocks. Each is sent on, in order; under a backlog of kProgressMax the oldest is dropped.
  virtual void progress(const v1::RankProgress& progress) = 0;

  // Files that are written and synced. Returns at once; the answer comes later, once for each.
  virtual Status send_checkpoint(const v1::RankCheckpoint& checkpoint) = 0;
  // An answer that has come; nothing when none is there. The oldest first.
  [[nodiscard]] virtual std::optional<v1::CheckpointKept> checkpoint_answer() = 0;
  // Waits for one. UNAVAILABLE when the daemon is gone, DEADLINE_EXCEEDED after `within`.
  [[nodiscard]] virtual Result<v1::CheckpointKept> wait_checkpoint_answer(Duration within) = 0;

  // What was asked for so far; NOW outweighs AFTER_CHECKPOINT. It differs between ranks for a
  // moment: they agree by a reduction before they act on it.
  [[nodiscard]] virtual v1::RankStop::How stop_asked() const = 0;
  // How many checkpoints in passing (RankStop::CHECKPOINT) were asked for.
  [[nodiscard]] virtual std::uint32_t checkpoints_asked() const = 0;
};

// The port of a real rank. A thread of its own speaks to the daemon: it sends a sign of life each
// `life_every` even while the rank computes. When the daemon is gone `lost` is called there, once:
// a rank without a daemon must not go on.
class SocketRankPort final : public RankPort {
 public:
  static constexpr std::size_t kProgressMax = 4096;

  SocketRankPort(LocalChannel channel, Duration life_every,
                 std::function<void(const Status&)> lost);
  ~SocketRankPort() override;
  SocketRankPort(const SocketRankPort&) = delete;
  SocketRankPort& operator=(const SocketRankPort&) = delete;

  // Says hello. Call first.
  Status hello(const v1::RankHello& hello);
  // After MPI_Init: says ready, and waits for the task.
  Status fetch_task(Duration within);
  // The last word, written before it returns (at most `within` is waited).
  void end(const v1::RankEnded& ended, Duration within);

  [[nodiscard]] const v1::RankTask& task() const override { return task_; }
  void progress(const v1::RankProgress& progress) override;
  Status send_checkpoint(const v1::RankCheckpoint& checkpoint) override;
  [[nodiscard]] std::optional<v1::CheckpointKept> checkpoint_answer() override;
  [[nodiscard]] Result<v1::CheckpointKept> wait_checkpoint_answer(Duration within) override;
  [[nodiscard]] v1::RankStop::How stop_asked() const override;
  [[nodiscard]] std::uint32_t checkpoints_asked() const override { return checkpoints_asked_; }
  // The last step that was told.
  [[nodiscard]] std::uint64_t last_step() const;

 private:
  void run(const std::stop_token& stop);
  bool send_waiting();
  void take(const v1::LocalResponse& message);
  void lose(const Status& why);
  Status queue(v1::LocalRequest message);
  void wake() const;

  LocalChannel channel_;
  const Duration life_every_;
  const std::function<void(const Status&)> lost_;
  int wake_ = -1;
  v1::RankTask task_;  // written by fetch_task() alone
  std::atomic<int> stop_{0};
  std::atomic<std::uint32_t> checkpoints_asked_{0};

  mutable Mutex mutex_;
  Condition changed_;
  std::deque<v1::LocalRequest> outbox_ OW_GUARDED_BY(mutex_);
  v1::RankProgress last_ OW_GUARDED_BY(mutex_);
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  bool ready_ OW_GUARDED_BY(mutex_) = false;  // signs of life begin with it
  std::optional<v1::RankTask> arrived_ OW_GUARDED_BY(mutex_);
  std::deque<v1::CheckpointKept> answers_ OW_GUARDED_BY(mutex_);
  std::optional<Status> gone_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
