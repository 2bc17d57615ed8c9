// Hands a training's checkpoints to the daemon while the training goes on.
//
//   write()    copies the state into files      the training waits: as fast as the page cache takes
//   it a thread   reads them back for their digests poll()     tells the daemon of them; later
//   takes its answer and removes them
//
// Nothing is synced here: the store that keeps a checkpoint makes it durable before it is visible,
// and what a rank wrote is worth nothing without it.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>
#include <optional>
#include <span>

#include "common/base/result.h"
#include "common/base/time.h"
#include "worker/gang/rank_port.h"
#include "worker/train/trainer.h"

namespace overwinter::worker {

// One thread, the port's. At most one checkpoint is on its way.
class CheckpointSender {
 public:
  struct Facts {
    std::uint64_t step = 0;
    std::uint64_t data_position = 0;
    double loss = 0;
  };

  // The folder checkpoint-STEP is made in the job's directory.
  explicit CheckpointSender(std::filesystem::path job_directory);
  ~CheckpointSender();
  CheckpointSender(const CheckpointSender&) = delete;
  CheckpointSender& operator=(const CheckpointSender&) = delete;

  // Something is written and not answered.
  [[nodiscard]] bool busy() const { return step_.has_value(); }
  // Not while busy. The views are not looked at after it returned. On an error nothing is left.
  Status write(const Facts& facts, std::span<const TensorView> state);
  // Never blocks. What became of the checkpoint, once that is known: it is no longer on its way
  // then, and its files are gone. Without an error the daemon holds it.
  [[nodiscard]] std::optional<Status> poll(RankPort& port);
  // The same, waiting. DEADLINE_EXCEEDED after `within`: it is still on its way. The files are read
  // to their end before that counts.
  [[nodiscard]] Status wait(RankPort& port, Duration within);

 private:
  Status send(RankPort& port);
  [[nodiscard]] bool is_mine(const v1::CheckpointKept& kept) const;
  Status settle(Status outcome);

  const std::filesystem::path job_directory_;
  std::filesystem::path folder_;
  std::optional<std::uint64_t> step_;  // of what is on its way
  std::atomic<bool> give_up_{false};
  std::future<Result<v1::RankCheckpoint>> digests_;  // valid until it was sent
};

}  // namespace overwinter::worker
