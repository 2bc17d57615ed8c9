// ExecWork: the user's own program on this worker, for launchers under which each daemon starts
// its own processes (env, torchrun, none).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "worker/exec/process_tree.h"
#include "worker/programs/program_work.h"

namespace overwinter::worker {

class ExecWork final : public ProgramWork, private exec::TreeObserver {
 public:
  ExecWork(GangKey key, ProgramWorkParts parts, GangWorkObserver& observer)
      : ProgramWork(key, std::move(parts), observer) {}
  ~ExecWork() override;

  [[nodiscard]] Status start(const LaunchGang& order, const std::vector<RankSeat>& seats) override;

 private:
  // ProgramWork
  void stop_program(int signal, std::chrono::milliseconds grace) override;
  [[nodiscard]] std::vector<pid_t> processes() const override;
  void look() override;
  void kill_program() override;

  // exec::TreeObserver; from the tree's thread.
  void started(std::size_t process, pid_t pid) override;
  void ended(std::size_t process, const exec::ProcessEnd& end) override;
  void line(std::size_t process, exec::Stream stream, std::string_view text) override;
  void dropped(std::size_t process, exec::Stream stream, std::uint64_t bytes) override;
  void memory(std::uint64_t used_bytes, std::uint64_t peak_bytes) override;
  void finished(const exec::TreeEnd& end) override;

  [[nodiscard]] std::uint32_t rank_of(std::size_t process) const;

  struct Failed {
    std::size_t process = 0;
    bool after_kill = false;  // it says nothing about the program
  };

  Mutex failed_mutex_;
  std::optional<Failed> failed_first_ OW_GUARDED_BY(failed_mutex_);
  bool others_ended_ = false;  // of the thread beside the program
  std::unique_ptr<exec::ProcessTree> tree_;
};

}  // namespace overwinter::worker
