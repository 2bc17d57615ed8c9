// ExecWork: the user's own program on this worker, for launchers under which each daemon starts
// its own processes (env, torchrun, none).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "overwinter/v1/job.pb.h"
#include "worker/exec/launch_environment.h"
#include "worker/exec/process_tree.h"
#include "worker/exec/progress_lines.h"
#include "worker/programs/checkpoint_collector.h"
#include "worker/programs/program_place.h"
#include "worker/programs/program_site.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

struct ExecWorkParts {
  const ProgramSite* site = nullptr;
  WorkerId worker;      // this one
  std::string address;  // IPv4, by which other members reach this machine
  JobFiles* files = nullptr;
  CheckpointPort* checkpoints = nullptr;
  JobLog* log = nullptr;
  JobSecrets* secrets = nullptr;
  JobOutputs* outputs = nullptr;
};

class ExecWork final : public GangWork, private exec::TreeObserver {
 public:
  ExecWork(GangKey key, ExecWorkParts parts, GangWorkObserver& observer);
  ~ExecWork() override;
  ExecWork(const ExecWork&) = delete;
  ExecWork& operator=(const ExecWork&) = delete;

  [[nodiscard]] Status prepare(const OfferSeat& offer, const std::stop_token& stop) override;
  [[nodiscard]] Status start(const LaunchGang& order, const std::vector<RankSeat>& seats) override;
  void wind_down() override;
  void kill() override;

 private:
  // exec::TreeObserver; from the tree's thread.
  void started(std::size_t process, pid_t pid) override;
  void ended(std::size_t process, const exec::ProcessEnd& end) override;
  void line(std::size_t process, exec::Stream stream, std::string_view text) override;
  void dropped(std::size_t process, exec::Stream stream, std::uint64_t bytes) override;
  void finished(const exec::TreeEnd& end) override;

  Status note_metrics();
  void log_line(std::uint32_t rank, bool error, std::string_view text) const;
  void take_progress(std::uint32_t rank, const exec::ProgressLine& progress);
  [[nodiscard]] std::uint32_t rank_of(std::size_t process) const;
  [[nodiscard]] std::optional<std::uint64_t> step() const;
  void watch();  // the thread beside the program
  void look_for_checkpoint();
  void stop_when_due();
  void end_with_the_first();
  void close(const exec::TreeEnd& end);
  void keep_last_checkpoint();
  [[nodiscard]] Status keep_outputs();
  void keep_workdir();
  [[nodiscard]] GangSeatExited verdict(const exec::TreeEnd& end);

  const GangKey key_;
  const ExecWorkParts parts_;
  GangWorkObserver& observer_;
  // Set before the program starts and not changed after.
  v1::JobSpec spec_;
  std::string job_;  // resource name
  exec::Launcher launcher_ = exec::Launcher::kEnv;
  std::vector<exec::NamedPattern> patterns_;
  exec::Environment secrets_;
  std::unique_ptr<ProgramPlace> place_;
  std::vector<std::uint32_t> ranks_;  // of this worker's seats, in their order

  std::atomic<bool> killed_{false};
  std::stop_source given_up_;
  mutable Mutex mutex_;
  Condition changed_;
  bool ending_ OW_GUARDED_BY(mutex_) = false;  // this object is being destroyed
  std::optional<std::chrono::steady_clock::time_point> stop_asked_ OW_GUARDED_BY(mutex_);
  std::uint64_t taken_when_asked_ OW_GUARDED_BY(mutex_) = 0;
  bool signalled_ OW_GUARDED_BY(mutex_) = false;
  std::optional<std::uint64_t> step_ OW_GUARDED_BY(mutex_);
  std::uint64_t values_ OW_GUARDED_BY(mutex_) = 0;  // told without a step
  std::uint64_t memory_peak_ OW_GUARDED_BY(mutex_) = 0;
  std::optional<std::size_t> failed_first_ OW_GUARDED_BY(mutex_);
  std::optional<exec::TreeEnd> end_ OW_GUARDED_BY(mutex_);
  CheckpointSending sending_;
  std::unique_ptr<CheckpointCollector> collector_;  // null: this worker collects none
  std::unique_ptr<exec::ProcessTree> tree_;
  std::jthread watch_;  // last: it uses the rest
};

}  // namespace overwinter::worker
