// The world of one run: people who submit and act, the network, faults; to the end, when every job
// has ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/artifact_model.h"
#include "tests/simulation/coordinator_model.h"
#include "tests/simulation/gang_model.h"
#include "tests/simulation/worker_model.h"

namespace overwinter::simulation {

struct RunResult {
  std::uint64_t events = 0;  // steps of the coordinator's core
  std::uint64_t restarts = 0;
  std::uint64_t trace = 0;
  std::size_t jobs = 0;
};

class World final : public WorkerPort {
 public:
  explicit World(Scenario scenario);
  // Throws Violation.
  RunResult run();

 private:
  struct Link {
    std::uint64_t epoch = 0;  // of the newest stream; 0: none
    Ms up_free_at = 0;        // order within a stream
    Ms down_free_at = 0;
    Ms up_blocked_until = 0;  // one-way partitions
    Ms down_blocked_until = 0;
  };
  struct Submission {
    std::string request_id;
    std::optional<JobId> job;  // acknowledged
    bool refused = false;
    int resumes = 0;
  };
  using OnReply = std::function<void(const core::Reply&)>;

  // WorkerPort
  void hello(std::size_t worker, std::uint64_t epoch, core::WorkerHello event) override;
  void say(std::size_t worker, std::uint64_t epoch, core::Event event) override;
  void put_tile(std::size_t worker, Incarnation from, SeatKey seat, UnitNumber unit,
                bool wrong) override;
  void try_connect(std::size_t worker) override;
  void gang_launched(std::size_t worker, Incarnation from, const worker::LaunchGang& order,
                     std::uint64_t from_step) override;
  void gang_stop(SeatKey seat) override { gangs_.stop(seat); }
  void gang_kill(SeatKey seat) override { gangs_.kill(seat); }
  void daemon_gone(std::size_t worker, Incarnation incarnation) override {
    gangs_.daemon_gone(worker, incarnation);
  }

  void leave(const core::Effect& effect);
  void launch(const core::LaunchGang& order);
  void announce_checkpoints();
  void to_worker(WorkerId worker, Incarnation incarnation, const core::Effect& effect);
  void break_link(std::size_t worker, bool deliver_what_is_under_way);
  [[nodiscard]] bool of_old_daemon(const core::Event& event) const;
  void coordinator_crashed();
  void arrive(core::Event event);
  [[nodiscard]] bool prepared(SeatKey seat) const;
  void answer_tile(std::size_t worker, Incarnation from, SeatKey seat, UnitNumber unit,
                   WorkerModel::Verdict verdict);
  void land(std::uint64_t life, std::size_t worker, SeatKey seat, UnitNumber unit);

  template <class E>
  void request(E event, OnReply on_reply, std::function<void()> lost);
  void begin();
  void join(std::size_t worker, JoinFileId file);
  void submit(std::size_t index);
  void leave_ghost(const WorkerModel::Words& words);
  void ghost_speaks(const WorkerModel::Words& words);
  void plan_again(JobId job);
  void refuse_result(JobId job);
  void create_project();
  void set_prices(std::size_t index);
  void person_acts();
  void operator_acts();
  void schedule_faults();
  void repeat(Ms every, std::function<void()> action);
  void end_faults();
  void nudge();
  [[nodiscard]] bool all_ended() const;
  void check_acknowledged() const;
  void check_finished() const;
  [[nodiscard]] Ms delay() { return random_.between(0, scenario_.delay_max); }
  [[nodiscard]] WorkerModel* find_worker(WorkerId id);
  [[nodiscard]] bool faulty() const { return time_.now() < scenario_.faults_until; }

  Scenario scenario_;
  Random random_;
  VirtualTime time_;
  GangModel gangs_;
  ArtifactModel artifacts_;
  CoordinatorModel coordinator_;
  std::vector<std::unique_ptr<WorkerModel>> workers_;
  std::vector<Link> links_;
  std::vector<Submission> submissions_;
  std::map<core::ReplyId, OnReply> waiting_;
  std::set<JobId> results_prepared_;  // by this process
  std::set<JobId> results_finished_;
  Ms started_at_ = 0;  // of this process
  std::uint64_t next_reply_ = 1;
  std::uint64_t next_epoch_ = 1;
};

}  // namespace overwinter::simulation
