// What ranks of gangs really do: up together, steps together, checkpoints, an end; and what goes
// wrong with them. The truth that the core's word on gangs is held against.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/virtual_time.h"
#include "worker/core/input.h"

namespace overwinter::simulation {

class GangModel {
 public:
  // Where its words go: to the daemon of one member, if it is still the same one.
  using Tell = std::function<void(std::size_t worker, Incarnation, const worker::Input&)>;
  // True when the coordinator took it.
  using Store = std::function<bool(JobId, AttemptNumber, std::uint64_t step)>;
  using Frozen = std::function<bool(std::size_t worker)>;

  GangModel(VirtualTime& time, Random& random, const Scenario& scenario, Tell tell, Store store,
            Frozen frozen);

  void set_plan(JobId job, const GangPlan& plan) { plans_[job] = plan; }
  // A daemon was told to launch its member.
  void launched(std::size_t worker, Incarnation from, const worker::LaunchGang& order,
                std::uint64_t from_step);
  void stop(SeatKey seat);  // at the next step, with a checkpoint
  void kill(SeatKey seat);
  void daemon_gone(std::size_t worker, Incarnation incarnation);

  [[nodiscard]] bool completed(JobId job) const { return completed_.count(job) > 0; }
  [[nodiscard]] std::uint64_t checkpoint(JobId job) const;
  [[nodiscard]] const std::map<JobId, std::pair<AttemptNumber, std::uint64_t>>& checkpoints()
      const {
    return durable_;
  }
  // When it last did a step or was launched; 0: never.
  [[nodiscard]] Ms active_at(JobId job) const;

 private:
  using Key = std::pair<JobId, AttemptNumber>;
  struct Member {
    std::size_t worker = 0;
    Incarnation incarnation;
    bool launched = false;
    bool over = false;
  };
  struct Gang {
    std::map<SeatKey, Member> members;
    std::uint64_t step = 0;
    std::uint64_t activity = 0;
    bool up = false;
    bool stopping = false;
    bool dead = false;  // a member went: the others follow
  };
  void all_up(Key key);
  void next_step(Key key);
  void step(Key key);
  void save(Key key, std::uint64_t step);
  void exit(Gang& gang, SeatKey seat, worker::GangOutcome outcome, SeatExit exit = {});
  void lose(Gang& gang, SeatKey first);

  VirtualTime& time_;
  Random& random_;
  const Scenario& scenario_;
  Tell tell_;
  Store store_;
  Frozen frozen_;
  std::map<JobId, GangPlan> plans_;
  std::map<Key, Gang> gangs_;
  std::map<JobId, std::pair<AttemptNumber, std::uint64_t>> durable_;
  std::map<JobId, Ms> active_at_;
  std::set<JobId> completed_;
};

}  // namespace overwinter::simulation
