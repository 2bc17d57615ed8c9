#include "worker/exec/launch_environment.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "common/base/check.h"

namespace overwinter::worker::exec {
namespace {

// What may be replaced by the job file's env.
Environment defaults(Launcher launcher, const GangLayout& layout, const JobNames& names) {
  Environment out{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", names.home},
      {"TMPDIR", names.temporary},
      {"LANG", "C.UTF-8"},
      // A uid of its own has no entry in the passwd file: who asks for its name finds one here.
      {"USER", "overwinter"},
      {"LOGNAME", "overwinter"},
      // What a program has printed is seen before it dies.
      {"PYTHONUNBUFFERED", "1"},
  };
  if (launcher != Launcher::kNone) out["OMP_NUM_THREADS"] = std::to_string(layout.threads);
  if (launcher == Launcher::kMpi) {
    out["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none";  // the filter refuses it
    out["OMPI_MCA_btl_vader_backing_directory"] = names.temporary;
  }
  return out;
}

void tell_rank(Environment& out, const GangLayout& layout, const JobNames& names,
               std::uint32_t local) {
  const auto& devices = layout.devices;
  const auto before = devices.begin() + layout.worker;
  const std::uint32_t rank = std::accumulate(devices.begin(), before, 0U) + local;
  const std::string world = std::to_string(std::accumulate(devices.begin(), devices.end(), 0U));
  const std::string node = std::to_string(layout.worker);
  out["RANK"] = out["ROLE_RANK"] = std::to_string(rank);
  out["WORLD_SIZE"] = out["ROLE_WORLD_SIZE"] = world;
  out["LOCAL_RANK"] = std::to_string(local);
  out["LOCAL_WORLD_SIZE"] = std::to_string(devices[layout.worker]);
  out["GROUP_RANK"] = out["NODE_RANK"] = node;
  out["GROUP_WORLD_SIZE"] = std::to_string(devices.size());
  out["ROLE_NAME"] = "default";
  out["MASTER_ADDR"] = layout.master_address;
  out["MASTER_PORT"] = std::to_string(layout.master_port);
  out["TORCHELASTIC_RUN_ID"] = names.job;
  out["TORCHELASTIC_RESTART_COUNT"] = std::to_string(names.attempt - 1);
  out["TORCHELASTIC_MAX_RESTARTS"] = std::to_string(names.retries);
  out["TORCHELASTIC_USE_AGENT_STORE"] = "False";
}

void tell_torchrun(Environment& out, const GangLayout& layout) {
  out["PET_NNODES"] = std::to_string(layout.devices.size());
  out["PET_NODE_RANK"] = std::to_string(layout.worker);
  out["PET_NPROC_PER_NODE"] = std::to_string(layout.devices[layout.worker]);
  out["PET_MASTER_ADDR"] = layout.master_address;
  out["PET_MASTER_PORT"] = std::to_string(layout.master_port);
}

void tell_machine(Environment& out, Launcher launcher, const GangLayout& layout) {
  if (launcher != Launcher::kNone && !layout.interface.empty())
    out["NCCL_SOCKET_IFNAME"] = out["GLOO_SOCKET_IFNAME"] = layout.interface;
  // Empty hides the machine's GPUs from a job that was given none.
  out["CUDA_VISIBLE_DEVICES"] = fmt::format("{}", fmt::join(layout.gpus, ","));
  out["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
}

void tell_job(Environment& out, const JobNames& names) {
  out["OVERWINTER_JOB"] = names.job;
  out["OVERWINTER_ATTEMPT"] = std::to_string(names.attempt);
  out["OVERWINTER_CHECKPOINT_DIR"] = names.checkpoint_dir;
  out["OVERWINTER_STOP_FILE"] = names.stop_file;
  if (names.module_folder.empty()) return;
  std::string& path = out["PYTHONPATH"];
  path = path.empty() ? names.module_folder : names.module_folder + ":" + path;
}

constexpr std::array<std::string_view, 18> kRankNames = {"RANK",
                                                         "WORLD_SIZE",
                                                         "LOCAL_RANK",
                                                         "LOCAL_WORLD_SIZE",
                                                         "GROUP_RANK",
                                                         "GROUP_WORLD_SIZE",
                                                         "ROLE_RANK",
                                                         "ROLE_WORLD_SIZE",
                                                         "ROLE_NAME",
                                                         "NODE_RANK",
                                                         "MASTER_ADDR",
                                                         "MASTER_PORT",
                                                         "TORCHELASTIC_RUN_ID",
                                                         "TORCHELASTIC_RESTART_COUNT",
                                                         "TORCHELASTIC_MAX_RESTARTS",
                                                         "TORCHELASTIC_USE_AGENT_STORE",
                                                         "NCCL_SOCKET_IFNAME",
                                                         "GLOO_SOCKET_IFNAME"};

}  // namespace

Result<Launcher> parse_launcher(std::string_view name) {
  if (name.empty() || name == "env") return Launcher::kEnv;
  if (name == "torchrun") return Launcher::kTorchrun;
  if (name == "mpi") return Launcher::kMpi;
  if (name == "none") return Launcher::kNone;
  return fail(Code::kInvalidArgument, fmt::format("no launcher is called {}", name),
              "workload.exec.launcher", "env, torchrun, mpi or none");
}

std::uint32_t processes_on_worker(Launcher launcher, std::uint32_t devices) {
  return launcher == Launcher::kEnv ? devices : 1;
}

bool decided_by_launcher(Launcher launcher, std::string_view name) {
  if (name.starts_with("OVERWINTER_") || name.starts_with("SLURM_") ||
      name == "CUDA_VISIBLE_DEVICES" || name == "CUDA_DEVICE_ORDER")
    return true;
  if (launcher == Launcher::kEnv)
    return std::find(kRankNames.begin(), kRankNames.end(), name) != kRankNames.end();
  if (launcher == Launcher::kTorchrun)
    return name.starts_with("PET_") || name.ends_with("_SOCKET_IFNAME");
  return launcher == Launcher::kMpi && name.ends_with("_SOCKET_IFNAME");
}

Environment launch_environment(Launcher launcher, const GangLayout& layout, const JobNames& names,
                               const Environment& user, std::uint32_t local) {
  check(layout.worker < layout.devices.size(), "a worker of its gang");
  check(local < processes_on_worker(launcher, layout.devices[layout.worker]),
        "a process of its worker");
  Environment out = defaults(launcher, layout, names);
  for (const auto& [name, value] : user)
    if (!decided_by_launcher(launcher, name)) out[name] = value;
  if (launcher == Launcher::kEnv) tell_rank(out, layout, names, local);
  if (launcher == Launcher::kTorchrun) tell_torchrun(out, layout);
  tell_machine(out, launcher, layout);
  tell_job(out, names);
  return out;
}

Result<std::vector<std::string>> command_line(const std::string& text,
                                              const std::vector<std::string>& list) {
  if (text.empty() == list.empty())
    return fail(Code::kInvalidArgument, "a command is a text or a list, and one of them is given",
                "workload.exec.command");
  if (!list.empty()) return list;
  return std::vector<std::string>{"bash", "-euo", "pipefail", "-c", text};
}

}  // namespace overwinter::worker::exec
