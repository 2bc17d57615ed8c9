// ProgramWork: what all launchers have in common: the place of the attempt, what the program says,
// its checkpoints, its outputs, and how it is told to stop. How its processes are started, told and
// ended is the launcher's (exec_work.h, open_mpi_work.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "overwinter/v1/job.pb.h"
#include "worker/exec/launch_environment.h"
#include "worker/exec/progress_lines.h"
#include "worker/programs/checkpoint_collector.h"
#include "worker/programs/program_gpus.h"
#include "worker/programs/program_place.h"
#include "worker/programs/program_site.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

struct ProgramWorkParts {
  const ProgramSite* site = nullptr;
  WorkerId worker;      // this one
  std::string address;  // IPv4, by which other members reach this machine
  JobFiles* files = nullptr;
  CheckpointPort* checkpoints = nullptr;
  JobLog* log = nullptr;
  JobSecrets* secrets = nullptr;
  JobOutputs* outputs = nullptr;
};

// How a signal reaches the program, by the specification.
[[nodiscard]] int stop_signal(const v1::StopSpec& stop);
[[nodiscard]] std::chrono::milliseconds stop_grace(const v1::StopSpec& stop);

class ProgramWork : public GangWork {
 public:
  ProgramWork(const ProgramWork&) = delete;
  ProgramWork& operator=(const ProgramWork&) = delete;

  [[nodiscard]] Status prepare(const OfferSeat& offer, const std::stop_token& stop) override;
  void wind_down() override;
  void kill() override;

 protected:
  ProgramWork(GangKey key, ProgramWorkParts parts, GangWorkObserver& observer);

  // ---- of the launcher. From the thread beside the program, while it runs.
  virtual void stop_program(int signal, std::chrono::milliseconds grace) = 0;
  [[nodiscard]] virtual std::vector<pid_t> processes() const = 0;
  virtual void look() {}  // twice a second
  // From any thread.
  virtual void kill_program() = 0;
  // Whose uid the attempt has; nothing: one is leased.
  [[nodiscard]] virtual std::optional<uid_t> owner() const { return std::nullopt; }

  // ---- for the launcher
  // What its processes are told beside their places: `user` variables win over defaults.
  struct Told {
    std::vector<std::string> command;
    exec::JobNames names;
    exec::Environment user;
  };
  [[nodiscard]] Result<Told> told() const;
  // Before the program starts: its seats here, of `world_size`. `first`: this worker's checkpoints
  // and outputs are the job's (under DDP its first rank writes them).
  void set_seats(const std::vector<RankSeat>& seats, std::uint32_t world_size, bool first);
  // Then: what a tree of processes of these seats is held to; it is let at all GPUs of the attempt.
  [[nodiscard]] exec::TreeOrder tree_order(std::span<const RankSeat> seats) const;
  // Once it runs: begins the threads beside it.
  void watch_program();
  // Ends those threads without a word. Call in the destructor, before what processes() and
  // kill_program() use is gone.
  void forget_program();
  // What the processes of a rank's seat have of the machine's memory; from any thread.
  void used(std::uint32_t rank, const MemoryUse& use);
  // A line of a rank.
  void said(std::uint32_t rank, bool error, std::string_view text);
  void log_line(std::uint32_t rank, bool error, std::string_view text) const;
  // Every process has ended; `how` without the step. What it left is kept, then over() is told.
  // Where it was told to stop `how` says what the processes' ends alone say; where it was killed
  // it is kFailed for what had failed before that.
  void program_over(GangSeatExited how, bool by_itself);
  [[nodiscard]] bool killed() const { return killed_; }

  const GangKey key_;
  const ProgramWorkParts parts_;
  GangWorkObserver& observer_;
  // Set before the program starts and not changed after.
  v1::JobSpec spec_;
  exec::Launcher launcher_ = exec::Launcher::kEnv;
  std::unique_ptr<ProgramPlace> place_;
  std::vector<std::uint32_t> ranks_;  // of this worker's seats, in their order
  std::unique_ptr<ProgramGpus> gpus_;

 private:
  struct Over {
    GangSeatExited how;
    bool by_itself = false;
  };
  Status note_metrics();
  void take_progress(std::uint32_t rank, const exec::ProgressLine& progress);
  [[nodiscard]] std::optional<std::uint64_t> step() const;
  [[nodiscard]] MemoryUse use_of(std::uint32_t rank) const;
  void tell_memory();
  void watch();
  void over_on_gpu(const ProgramGpus::Over& over);
  void look_for_checkpoint();
  void stop_when_due();
  void close(const Over& over);
  void keep_last_checkpoint();
  [[nodiscard]] Status keep_outputs();
  void keep_workdir();
  Status send(JobOutputs::Kind kind, const std::filesystem::path& archive);
  [[nodiscard]] GangSeatExited verdict(const Over& over) const;

  std::string job_;  // resource name
  std::vector<exec::NamedPattern> patterns_;
  exec::Environment secrets_;
  bool first_ = false;

  std::atomic<bool> killed_{false};
  std::stop_source given_up_;
  mutable Mutex mutex_;
  Condition changed_;
  bool ending_ OW_GUARDED_BY(mutex_) = false;  // this object is being destroyed
  std::optional<std::chrono::steady_clock::time_point> stop_asked_ OW_GUARDED_BY(mutex_);
  std::uint64_t taken_when_asked_ OW_GUARDED_BY(mutex_) = 0;
  bool signalled_ OW_GUARDED_BY(mutex_) = false;
  std::optional<std::uint64_t> step_ OW_GUARDED_BY(mutex_);
  std::uint64_t values_ OW_GUARDED_BY(mutex_) = 0;                    // told without a step
  std::map<std::uint32_t, MemoryUse> on_host_ OW_GUARDED_BY(mutex_);  // by rank
  std::optional<Over> over_ OW_GUARDED_BY(mutex_);
  std::optional<ProgramGpus::Over> gpu_over_ OW_GUARDED_BY(mutex_);
  std::map<std::uint32_t, MemoryUse> told_;  // of the thread beside the program
  CheckpointSending sending_;
  std::unique_ptr<CheckpointCollector> collector_;  // null: this worker collects none
  std::jthread watch_;                              // last: it uses the rest
};

}  // namespace overwinter::worker
