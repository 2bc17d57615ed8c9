// Releases: gives idle machines back by the command of `on_idle`, one after the other. A machine is
// drained first, so that it gets no seat while the command runs, and resumed when that fails.
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/notify/told_file.h"
#include "coordinator/runtime/requests.h"
#include "coordinator/runtime/views.h"

namespace overwinter::runtime {

struct Release {
  WorkerId worker;
  std::string name;
  std::string owner;  // of the notice that it follows from (notify/told.h)
  std::string key;
  std::string idle;  // how long, in words
  std::vector<std::string> command;
};

// Thread-safe. All that is given outlives it.
class Releases {
 public:
  Releases(const Views& views, Requests& requests, notify::ToldFile& told);
  ~Releases() { stop(); }
  Releases(const Releases&) = delete;
  Releases& operator=(const Releases&) = delete;

  // Never waits. One for an idle time that was acted on already is let go.
  void put(Release release);
  // Kills the command that runs; its machine is released again after the next start. Before the
  // loop ends.
  void stop();

 private:
  void work();
  void act(const Release& release);
  // Whether it is there and no seat is held on it, by the views.
  [[nodiscard]] bool is_free(WorkerId id) const;
  // Waits for the core's answer, which the views show by then.
  [[nodiscard]] Status ask(WorkerId id, core::WorkerAction action);

  const Views& views_;
  Requests& requests_;
  notify::ToldFile& told_;
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  Condition changed_;
  std::deque<Release> waiting_ OW_GUARDED_BY(mutex_);
  std::thread thread_ OW_GUARDED_BY(mutex_);  // from the first release on
};

}  // namespace overwinter::runtime
