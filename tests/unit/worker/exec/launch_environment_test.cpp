#include "worker/exec/launch_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace overwinter::worker::exec {
namespace {

GangLayout layout(std::vector<std::uint32_t> devices, std::uint32_t worker) {
  return {std::move(devices), worker, "10.0.0.1", 7821, "eth1", 4, {"GPU-a", "GPU-b"}};
}

JobNames names() {
  return {"projects/p/jobs/j-abcde", 3, 5, "/w/ckpt", "/w/stop", "/home", "/tmp", "/mod"};
}

std::set<std::string> keys(const Environment& environment) {
  std::set<std::string> out;
  for (const auto& [name, value] : environment) out.insert(name);
  return out;
}

const std::set<std::string> kAlways = {"PATH",
                                       "HOME",
                                       "TMPDIR",
                                       "LANG",
                                       "USER",
                                       "LOGNAME",
                                       "PYTHONUNBUFFERED",
                                       "PYTHONPATH",
                                       "OVERWINTER_JOB",
                                       "OVERWINTER_ATTEMPT",
                                       "OVERWINTER_CHECKPOINT_DIR",
                                       "OVERWINTER_STOP_FILE",
                                       "CUDA_VISIBLE_DEVICES",
                                       "CUDA_DEVICE_ORDER"};

std::set<std::string> with(std::set<std::string> names) {
  names.insert(kAlways.begin(), kAlways.end());
  return names;
}

TEST(LaunchEnvironmentTest, EachLauncherSetsItsNamesAndNoOthers) {
  const GangLayout gang = layout({1, 1}, 0);
  EXPECT_EQ(keys(launch_environment(Launcher::kNone, gang, names(), {}, 0)), kAlways);
  EXPECT_EQ(
      keys(launch_environment(Launcher::kMpi, gang, names(), {}, 0)),
      with({"OMP_NUM_THREADS", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME",
            "OMPI_MCA_btl_vader_single_copy_mechanism", "OMPI_MCA_btl_vader_backing_directory"}));
  EXPECT_EQ(keys(launch_environment(Launcher::kTorchrun, gang, names(), {}, 0)),
            with({"OMP_NUM_THREADS", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "PET_NNODES",
                  "PET_NODE_RANK", "PET_NPROC_PER_NODE", "PET_MASTER_ADDR", "PET_MASTER_PORT"}));
  EXPECT_EQ(keys(launch_environment(Launcher::kEnv, gang, names(), {}, 0)),
            with({"OMP_NUM_THREADS", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "RANK",
                  "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
                  "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "NODE_RANK", "MASTER_ADDR",
                  "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
                  "TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_USE_AGENT_STORE"}));
}

// Every layout of up to four workers with up to three devices each.
TEST(LaunchEnvironmentTest, RanksOfEveryLayoutCountThroughItOnce) {
  for (std::uint32_t code = 0; code < 256; ++code) {
    std::vector<std::uint32_t> devices;
    for (std::uint32_t rest = code, i = 0; i < 4; ++i, rest /= 4)
      if (rest % 4 != 0) devices.push_back(rest % 4);
    std::uint32_t next = 0;
    std::uint32_t world = 0;
    for (const std::uint32_t count : devices) world += count;
    for (std::uint32_t worker = 0; worker < devices.size(); ++worker) {
      const GangLayout gang = layout(devices, worker);
      ASSERT_EQ(processes_on_worker(Launcher::kEnv, devices[worker]), devices[worker]);
      for (std::uint32_t local = 0; local < devices[worker]; ++local) {
        Environment env = launch_environment(Launcher::kEnv, gang, names(), {}, local);
        ASSERT_EQ(env["RANK"], std::to_string(next));
        ASSERT_EQ(env["ROLE_RANK"], env["RANK"]);
        ASSERT_EQ(env["WORLD_SIZE"], std::to_string(world));
        ASSERT_EQ(env["ROLE_WORLD_SIZE"], env["WORLD_SIZE"]);
        ASSERT_EQ(env["LOCAL_RANK"], std::to_string(local));
        ASSERT_EQ(env["LOCAL_WORLD_SIZE"], std::to_string(devices[worker]));
        ASSERT_EQ(env["GROUP_RANK"], std::to_string(worker));
        ASSERT_EQ(env["NODE_RANK"], env["GROUP_RANK"]);
        ASSERT_EQ(env["GROUP_WORLD_SIZE"], std::to_string(devices.size()));
        ++next;
      }
      Environment pet = launch_environment(Launcher::kTorchrun, gang, names(), {}, 0);
      ASSERT_EQ(pet["PET_NNODES"], std::to_string(devices.size()));
      ASSERT_EQ(pet["PET_NODE_RANK"], std::to_string(worker));
      ASSERT_EQ(pet["PET_NPROC_PER_NODE"], std::to_string(devices[worker]));
      ASSERT_EQ(processes_on_worker(Launcher::kTorchrun, devices[worker]), 1U);
    }
    ASSERT_EQ(next, world);
  }
}

TEST(LaunchEnvironmentTest, ValuesAreThoseOfTheGangAndTheAttempt) {
  Environment env = launch_environment(Launcher::kEnv, layout({2, 2}, 1), names(), {}, 1);
  EXPECT_EQ(env["MASTER_ADDR"], "10.0.0.1");
  EXPECT_EQ(env["MASTER_PORT"], "7821");
  EXPECT_EQ(env["TORCHELASTIC_RUN_ID"], "projects/p/jobs/j-abcde");
  EXPECT_EQ(env["TORCHELASTIC_RESTART_COUNT"], "2");
  EXPECT_EQ(env["TORCHELASTIC_MAX_RESTARTS"], "5");
  EXPECT_EQ(env["TORCHELASTIC_USE_AGENT_STORE"], "False");
  EXPECT_EQ(env["ROLE_NAME"], "default");
  EXPECT_EQ(env["GLOO_SOCKET_IFNAME"], "eth1");
  EXPECT_EQ(env["OMP_NUM_THREADS"], "4");
  EXPECT_EQ(env["CUDA_VISIBLE_DEVICES"], "GPU-a,GPU-b");
  EXPECT_EQ(env["CUDA_DEVICE_ORDER"], "PCI_BUS_ID");
  EXPECT_EQ(env["OVERWINTER_ATTEMPT"], "3");
  EXPECT_EQ(env["OVERWINTER_CHECKPOINT_DIR"], "/w/ckpt");
  EXPECT_EQ(env["HOME"], "/home");
  EXPECT_EQ(env["TMPDIR"], "/tmp");
}

TEST(LaunchEnvironmentTest, TheJobFileWinsOverDefaultsAndNotOverItsPlace) {
  const Environment user = {{"PATH", "/opt/bin"},  {"OMP_NUM_THREADS", "9"},
                            {"RANK", "0"},         {"PYTHONPATH", "/mine"},
                            {"SLURM_JOB_ID", "1"}, {"OVERWINTER_JOB", "lie"},
                            {"LR", "3e-4"},        {"CUDA_VISIBLE_DEVICES", "GPU-of-another"}};
  Environment env = launch_environment(Launcher::kEnv, layout({1, 1}, 1), names(), user, 0);
  EXPECT_EQ(env["PATH"], "/opt/bin");
  EXPECT_EQ(env["OMP_NUM_THREADS"], "9");
  EXPECT_EQ(env["RANK"], "1");
  EXPECT_EQ(env["PYTHONPATH"], "/mod:/mine");
  EXPECT_EQ(env["LR"], "3e-4");
  EXPECT_EQ(env["OVERWINTER_JOB"], "projects/p/jobs/j-abcde");
  EXPECT_EQ(env["CUDA_VISIBLE_DEVICES"], "GPU-a,GPU-b");
  EXPECT_FALSE(env.contains("SLURM_JOB_ID"));
  // Where no launcher speaks, RANK is a name like any other.
  EXPECT_EQ(launch_environment(Launcher::kNone, layout({1}, 0), names(), user, 0).at("RANK"), "0");
}

TEST(LaunchEnvironmentTest, ATextRunsByBashAndAListAsItIs) {
  EXPECT_EQ(
      command_line("python3 train.py | tee x", {}).value(),
      (std::vector<std::string>{"bash", "-euo", "pipefail", "-c", "python3 train.py | tee x"}));
  EXPECT_EQ(command_line("", {"python3", "a b"}).value(),
            (std::vector<std::string>{"python3", "a b"}));
  EXPECT_FALSE(command_line("", {}).has_value());
  EXPECT_FALSE(command_line("a", {"b"}).has_value());
  EXPECT_EQ(parse_launcher("").value(), Launcher::kEnv);
  EXPECT_EQ(parse_launcher("mpi").value(), Launcher::kMpi);
  EXPECT_EQ(parse_launcher("srun").error().field, "workload.exec.launcher");
}

}  // namespace
}  // namespace overwinter::worker::exec
