// CheckpointCollector: takes the whole checkpoints that a program leaves in its checkpoint_dir,
// copies each into a folder of the daemon's own, where nobody changes it, and has it sent.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/exec/checkpoint_files.h"
#include "worker/exec/checkpoint_watch.h"
#include "worker/runtime/checkpoint_sending.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

// One thread but for what is said of it. Its `sending` outlives it and has sent or given up all
// before it is destroyed.
class CheckpointCollector {
 public:
  struct Setting {
    GangKey key;
    std::uint32_t world_size = 1;
    std::filesystem::path work;             // the job's
    std::string checkpoint_dir;             // relative to it
    std::filesystem::path copies;           // the daemon's own folder, for what is being sent
    std::optional<std::uint64_t> restored;  // the step that lies there from the start
  };
  // What there is at the start is no news.
  CheckpointCollector(Setting setting, CheckpointSending& sending);

  // Looks once: `pids` are all processes of the job, `step` the last that it told of. After an
  // error nothing is sent and the next look tries again.
  [[nodiscard]] Status look(std::chrono::milliseconds now, const std::vector<pid_t>& pids,
                            std::optional<std::uint64_t> step);
  // The job has no process any more: what is there now is whole or never will be.
  [[nodiscard]] Status look_last(std::chrono::milliseconds now, std::optional<std::uint64_t> step);

  [[nodiscard]] bool busy() const { return busy_; }  // one is on its way
  // How many it has taken, and the number of the last one that the coordinator has; 0: none.
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t stored() const { return stored_; }

 private:
  Status send(const exec::CheckpointSet& set, std::optional<std::uint64_t> step);
  [[nodiscard]] Result<std::vector<CheckpointFile>> copy(const exec::CheckpointSet& set,
                                                         const std::filesystem::path& to) const;

  const Setting setting_;
  CheckpointSending& sending_;
  exec::CheckpointFolder folder_;
  std::optional<exec::CheckpointWatch> watch_;
  std::optional<exec::CheckpointSet> waiting_;  // whole, while another is on its way
  std::set<std::string> renamed_;               // seen between two looks
  std::uint64_t last_step_ = 0;
  std::atomic<bool> busy_{false};
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint64_t> stored_{0};
};

}  // namespace overwinter::worker
