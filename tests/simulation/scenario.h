// What a seed draws before the run: sizes, and how often what goes wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/domain/demand.h"
#include "common/domain/device.h"
#include "coordinator/core/planted_bug.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/ledger/price_book.h"
#include "tests/simulation/virtual_time.h"

namespace overwinter::simulation {

// Bugs of the shell around the core, planted into its models here.
enum class ShellBug : std::uint8_t {
  kNone,
  kEffectsBeforeCommit,  // effects leave before their turn is durable
  kLandedBeforeSync,     // a tile counts before it is synced
  kFailedCommitIgnored,  // a failed commit with turns stepped ahead does not end the process
};

// Of a job that is a gang: what its ranks do.
struct GangPlan {
  std::uint64_t steps = 1;
  std::uint64_t checkpoint_every = 10;
  Ms step_ms = 100;
  double rank_fails = 0;    // chance of each step
  double rank_hangs = 0;    // the same
  double launch_fails = 0;  // chance of each member's launch
};

struct JobPlan {
  Ms submit_at = 0;
  Demand demand;
  std::string project;
  std::int64_t unit_ms = 100;  // work of one unit on a device of speed 1
  GangPlan gang;
};

struct WorkerPlan {
  MachineInfo machine;
  Ms join_at = 0;
  double speed = 1;
  bool lies = false;  // now and then a tile of it is wrong
  bool spot = false;
  bool hangs = false;  // now and then a seat of it does not end when it is told to, for a while
};

struct Scenario {
  std::uint64_t seed = 0;
  core::Bug bug = core::Bug::kNone;
  ShellBug shell_bug = ShellBug::kNone;
  core::SchedulerConfig config;
  std::vector<WorkerPlan> workers;
  std::vector<JobPlan> jobs;
  std::vector<ledger::PriceBook> books;  // set one after the other
  Ms start_unix_ms = 0;
  Ms faults_until = 0;
  // Mean time between two of a kind, whole cluster; 0: never.
  Ms coordinator_crash_every = 0;
  Ms worker_crash_every = 0;
  Ms disconnect_every = 0;
  Ms partition_every = 0;
  Ms freeze_every = 0;
  Ms person_acts_every = 0;
  Ms operator_acts_every = 0;
  double commit_fails = 0;    // chance of each commit to fail, and to be the last of its process
  double duplicate = 0;       // chance of each submit, tile and report to arrive twice
  double ghost = 0;           // chance of each worker that crashes to be still there as a ghost
  double result_refused = 0;  // chance of each start of a job to find no room for C
  Ms delay_max = 20;          // of a message
};

[[nodiscard]] Scenario draw_scenario(std::uint64_t seed);
[[nodiscard]] ledger::PriceBook draw_prices(std::uint64_t seed, Ms around_unix_ms);

}  // namespace overwinter::simulation
