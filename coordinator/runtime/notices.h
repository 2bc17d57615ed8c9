// Notices: tells people what becomes of jobs and machines (coordinator/notify), from the views, on
// a thread of its own: nobody waits for it, and the loop does not know of it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/notify/courier.h"
#include "coordinator/notify/hook_test.h"
#include "coordinator/notify/message.h"
#include "coordinator/notify/settings_file.h"
#include "coordinator/notify/told_file.h"
#include "coordinator/notify/watch.h"
#include "coordinator/runtime/cluster_status.h"
#include "coordinator/runtime/releases.h"
#include "coordinator/runtime/requests.h"
#include "coordinator/runtime/views.h"

namespace overwinter::runtime {

struct NoticesNeed {
  const Views& views;
  Requests& requests;
  std::function<Time()> now;
  const Serving& serving;          // complete at start()
  std::filesystem::path settings;  // notify.yaml
  std::filesystem::path told;      // what was told, kept over restarts
};

struct HookCounts {
  std::string hook;
  notify::CourierCounts counts;
};

// All of `need` outlives this. Thread-safe.
class Notices {
 public:
  explicit Notices(NoticesNeed need);
  ~Notices() { stop(); }
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  void start();
  // Ends deliveries, a test and a release command that are under way. Before the loop ends.
  void stop();
  // Looks at the settings now instead of within seconds.
  void reload();
  // Sends a text that says it is a test: to one hook, or (empty) to all. `done` is called once,
  // within 15 s, on any thread. NOT_FOUND: no such hook, or none; FAILED_PRECONDITION: what is
  // wrong with the settings; RESOURCE_EXHAUSTED while another test is under way.
  void test(const std::string& hook, notify::HookTest::Done done);
  [[nodiscard]] std::vector<HookCounts> counts() const;
  // Why the settings, as they are on disk now, are not in use: one sentence, with what to do in
  // brackets where that is known. Empty: they are, or there are none. Reads the disk.
  [[nodiscard]] std::string problem();

 private:
  void work();
  void take_settings(Time now);
  void look_at_jobs(Time now);
  void look_at_workers(Time now);
  void tell(std::vector<notify::Notice> notices);
  [[nodiscard]] notify::MessageContext context() const;
  [[nodiscard]] Result<std::vector<notify::HookTest::Letter>> test_letters(const std::string& hook);

  const NoticesNeed need_;
  notify::SettingsFile file_;
  notify::ToldFile told_;
  notify::HookTest test_;
  Releases releases_;

  // Of the thread of work().
  std::shared_ptr<const notify::Settings> settings_ = std::make_shared<const notify::Settings>();
  notify::Watch watch_;
  std::uint64_t next_event_ = 0;  // 0: all jobs are looked at first
  Time workers_at_{};
  std::set<WorkerId> worked_;  // had a seat since workers_at_

  mutable Mutex mutex_;
  Condition changed_;
  bool stopping_ OW_GUARDED_BY(mutex_) = false;
  bool reload_ OW_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::unique_ptr<notify::Courier>> couriers_ OW_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace overwinter::runtime
