// Committer: the store thread. Takes turns in order and makes them durable, all that have queued up
// in one group; the loop collects what is committed. A failed commit ends the process: restart and
// replay are the recovery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/core/fact.h"

namespace overwinter::runtime {

struct Turn {
  Time time{};
  std::vector<core::Fact> facts;  // never empty
};

// Makes turns durable, in order, all or none. Called by the store thread alone; may block.
class TurnSink {
 public:
  virtual ~TurnSink() = default;
  virtual Status commit(std::span<const Turn> turns) = 0;
};

class Committer {
 public:
  // `committed` is called on the store thread after each group; it wakes the loop.
  Committer(TurnSink& sink, std::function<void()> committed);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  void submit(Turn turn);
  // Turns durable since the start of this object.
  [[nodiscard]] std::uint64_t committed() const;
  // Waits until committed() > `seen`.
  void wait_beyond(std::uint64_t seen);
  // Commits what was submitted, then ends the thread.
  void stop();

 private:
  void work();

  TurnSink& sink_;
  const std::function<void()> told_;
  mutable Mutex mutex_;
  Condition changed_;
  std::deque<Turn> waiting_ OW_GUARDED_BY(mutex_);
  std::uint64_t committed_ OW_GUARDED_BY(mutex_) = 0;
  bool stopping_ OW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace overwinter::runtime
