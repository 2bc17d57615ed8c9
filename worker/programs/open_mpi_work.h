// MpiWork: the user's own program as ranks of Open MPI (launcher: mpi). Each rank is an
// overwinter-program-rank (worker/gang/program_rank.h), which starts the program.
#pragma once

#include <vector>

#include "worker/programs/program_work.h"
#include "worker/runtime/gang_launcher.h"
#include "worker/runtime/gang_members.h"

namespace overwinter::worker {

class MpiWork final : public ProgramWork {
 public:
  // `network`: of this machine's peer address; empty: it has none. The launcher outlives this.
  MpiWork(GangKey key, ProgramWorkParts parts, std::string network, GangLauncher& launcher,
          GangWorkObserver& observer)
      : ProgramWork(key, std::move(parts), observer),
        network_(std::move(network)),
        launcher_of_ranks_(launcher) {}
  ~MpiWork() override;

  [[nodiscard]] Status start(const LaunchGang& order, const std::vector<RankSeat>& seats) override;
  void heard(const GangEvent& event) override;

 private:
  void stop_program(int signal, std::chrono::milliseconds grace) override;
  [[nodiscard]] std::vector<pid_t> processes() const override;
  void kill_program() override;
  [[nodiscard]] std::optional<uid_t> owner() const override { return gang_user(key_); }
  void ended(const GangEnded& ended);

  const std::string network_;
  GangLauncher& launcher_of_ranks_;
};

}  // namespace overwinter::worker
