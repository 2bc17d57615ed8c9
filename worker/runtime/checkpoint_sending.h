// CheckpointSending: a gang's checkpoints on their way to the coordinator, one after the other, on
// a thread of their own: what is sent for minutes holds nothing else up.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/base/mutex.h"
#include "worker/runtime/checkpoint_port.h"

namespace overwinter::worker {

// Thread-safe.
class CheckpointSending {
 public:
  using Access = std::function<CheckpointAccess()>;
  using Done = std::function<void(const Status&)>;

  CheckpointSending(CheckpointPort& port, Access access);
  ~CheckpointSending();  // gives up and waits
  CheckpointSending(const CheckpointSending&) = delete;
  CheckpointSending& operator=(const CheckpointSending&) = delete;

  // `done` is called once, from the thread that sends; CANCELLED after give_up().
  void send(CheckpointManifest manifest, std::filesystem::path folder, Done done);
  // What is on its way and what comes later is not sent.
  void give_up();

 private:
  struct Item {
    CheckpointManifest manifest;
    std::filesystem::path folder;
    Done done;
  };
  void run(const std::stop_token& stop);

  CheckpointPort& port_;
  const Access access_;
  std::stop_source given_up_;
  Mutex mutex_;
  Condition arrived_;
  std::deque<Item> queue_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
