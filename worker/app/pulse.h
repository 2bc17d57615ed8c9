// Whether the daemon of a data folder is connected to its coordinator, as its `--healthy` says it:
// for the health checks of containers and supervisors, which start a process for each.
#pragma once

#include <filesystem>
#include <functional>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::worker {

// While it lives, a thread touches DATA_DIR/pulse every five seconds in which `connected` is true.
// `connected` is called from that thread and must not block.
class Pulse {
 public:
  Pulse(std::filesystem::path data_dir, std::function<bool()> connected);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

 private:
  void run(const std::stop_token& stop);

  std::filesystem::path file_;
  std::function<bool()> connected_;
  Mutex mutex_;
  Condition changed_;
  std::jthread thread_;
};

// OK: it was connected within the last 20 seconds. FAILED_PRECONDITION says since when it was not,
// NOT_FOUND that no daemon ever was with this folder.
[[nodiscard]] Status connected_lately(const std::filesystem::path& data_dir,
                                      std::filesystem::file_time_type now);

}  // namespace overwinter::worker
