#include "worker/app/daemon.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/version.h"
#include "common/security/file_io.h"
#include "common/security/host_id.h"
#include "common/security/tls_credentials.h"
#include "worker/app/gangs.h"
#include "worker/app/machine_gpus.h"
#include "worker/app/peer_network.h"
#include "worker/app/pulse.h"
#include "worker/app/settings.h"
#include "worker/gpus/gpu_kind.h"
#include "worker/rpc/join.h"
#include "worker/rpc/peer_server.h"
#include "worker/rpc/seat_artifacts.h"
#include "worker/rpc/session.h"
#include "worker/runtime/products_file.h"
#include "worker/runtime/worker_loop.h"
#ifdef OVERWINTER_TEST_SWITCHES
#include "worker/app/lying_artifacts.h"
#include "worker/app/paced_units.h"
#endif

namespace overwinter::worker {
namespace {

constexpr int kUnhealthy = 1;
constexpr int kUsage = 2;
constexpr int kUnreachable = 3;
constexpr int kRefused = 4;
constexpr Duration kJoinWithin{20'000};
constexpr Duration kShutDownWithin{4'000};
constexpr Duration kFlushWithin{500};
constexpr double kMeasureSeconds = 0.2;

std::string version_of([[maybe_unused]] const Options& options) {
#ifdef OVERWINTER_TEST_SWITCHES
  if (!options.version.empty()) return options.version;
#endif
  return kVersion;
}

int complain(const Status& status, int exit_code) {
  std::cerr << "overwinter-worker: " << status.message;
  if (!status.hint.empty()) std::cerr << " (" << status.hint << ")";
  std::cerr << "\n";
  return exit_code;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "worker";
  return name.data();
}

struct JoinOutcome {
  Settings settings;
  int exit_code = 0;  // not 0: could not
};

JoinOutcome first_join(const Options& options) {
  auto read = read_join_file(options.join_file, system_wall_time());
  if (!read) {
    const bool refused = read.error().code == Code::kFailedPrecondition;
    return {{}, complain(read.error(), refused ? kRefused : kUsage)};
  }
  if (!read->warning.empty()) log_warning("{}", read->warning);
  JoinWish wish;
  wish.name = options.name.empty() ? host_name() : options.name;
  wish.labels = options.labels;
  wish.projects = options.projects;
  wish.spot = options.spot;
  wish.price_per_hour = options.price_per_hour;
  wish.version = version_of(options);
  auto joined = join(read->file, wish, options.data_dir, kJoinWithin);
  if (!joined) {
    const Code code = joined.error().code;
    return {{},
            complain(joined.error(), code == Code::kUnavailable       ? kUnreachable
                                     : code == Code::kInvalidArgument ? kUsage
                                                                      : kRefused)};
  }
  Settings settings;
  settings.worker = joined->worker;
  settings.name = joined->name;
  settings.cluster = joined->cluster;
  settings.addresses = read->file.addresses;
  settings.devices = options.devices;
  if (Status saved = save_settings(options.data_dir, settings); !saved.ok()) {
    return {{}, complain(saved, kUsage)};
  }
  log_info("joined the cluster {} as {}", settings.cluster, settings.name);
  return {settings, 0};
}

JoinOutcome settings_of(const Options& options) {
  auto kept = load_settings(options.data_dir);
  if (!kept && kept.error().code != Code::kNotFound) return {{}, complain(kept.error(), kUsage)};
  if (!kept && options.join_file.empty()) {
    return {{},
            complain(error(Code::kFailedPrecondition,
                           "this machine has not joined a cluster with the data folder " +
                               options.data_dir.string(),
                           "", "--join FILE, made by `overwinter tokens create --role worker`"),
                     kUsage)};
  }
  if (!kept) return first_join(options);
  if (!options.join_file.empty()) {
    log_info("has joined the cluster {} as {} before: the join file is not used", kept->cluster,
             kept->name);
  }
  if (!options.devices.empty()) {
    kept->devices = options.devices;
    if (Status saved = save_settings(options.data_dir, *kept); !saved.ok()) {
      return {{}, complain(saved, kUsage)};
    }
  }
  return {*kept, 0};
}

MachineInfo machine_of(const Options& options, const Settings& settings, const ComputePool& devices,
                       const PeerNetwork& network, const Gangs& gangs) {
  MachineInfo machine;
  machine.host_id = host_id(settings.cluster);
  machine.host_name = host_name();
  machine.version = version_of(options);
  machine.host = machine_size();
  for (const auto& device : devices) machine.devices.push_back(device->info());
  if (const PeerServer* peers = gangs.port()) {
    machine.peer_address = network.address + ":" + std::to_string(peers->port());
    machine.network = network.network;
    machine.shared_network = options.shared_network;
  }
  const ProgramSite& site = gangs.site();
  machine.no_exec = site.confinement.why_not;
  if (!machine.no_exec.empty()) return machine;
  machine.memory_limit = site.memory.describe();
  if (std::ranges::any_of(machine.devices, is_gpu))
    machine.memory_limit +=
        site.own_pid_numbers ? ", GPUs by their processes" : ", GPUs by the whole of each";
  return machine;
}

SessionConfig session_config_of(const Options& options, const Settings& settings,
                                MachineInfo machine) {
  SessionConfig config;
  config.data_folder = options.data_dir;
  config.addresses = settings.addresses;
  config.machine = std::move(machine);
#ifdef OVERWINTER_TEST_SWITCHES
  if (options.days_ahead > 0) {
    config.renewal_check = Duration(500);
    config.wall = [days = std::chrono::days(options.days_ahead)] {
      return system_wall_time() + days;
    };
  }
#endif
  return config;
}

DeviceInfo gpu_info(const PlannedDevice& planned) {
  DeviceInfo info;
  info.kind = gpus::gpu_kind(planned.gpu->name);
  info.model = planned.gpu->name;
  info.memory_bytes = planned.memory_bytes;
  info.threads = planned.threads;
  info.uuid = planned.gpu->uuid;
  info.memory_total_bytes = planned.gpu->memory_bytes;
  info.host_memory_bytes = planned.host_memory_bytes;
  return info;
}

ComputePool make_devices(const DevicePlan& plan, const std::filesystem::path& folder) {
  ComputePool devices;
  ProductsFile products(folder);
  for (const PlannedDevice& planned : plan.devices) {
    const auto index = static_cast<DeviceIndex>(devices.size());
    if (planned.gpu) {
      devices.push_back(make_gpu_device(gpu_info(planned), index));
      const DeviceInfo& info = devices.back()->info();
      log_info("device {}: {} ({}, {}), {} of {}, {} threads and {} of the machine", index,
               info.kind, info.model, info.uuid, format_bytes(info.memory_bytes),
               format_bytes(info.memory_total_bytes), info.threads,
               format_bytes(info.host_memory_bytes));
      continue;
    }
    devices.push_back(make_cpu_device(planned.memory_bytes, planned.threads, index));
    products.choose(*devices.back());
    measure(*devices.back(), kMeasureSeconds);
    const DeviceInfo& info = devices.back()->info();
    log_info("device {}: {} ({}), {}, {} threads, {:.1f} GFLOP/s fp32, {:.1f} fp64", index,
             info.kind, info.model, format_bytes(info.memory_bytes), info.threads, info.gflops_fp32,
             info.gflops_fp64);
  }
  return devices;
}

// OpenBLAS starts threads before main that block no signal: a handler, not sigwait, sees every one.
volatile sig_atomic_t signals_seen = 0;

void note_signal(int /*signal*/) {
  signals_seen = signals_seen + 1;
}

// Watches for a signal to end; the second one ends at once.
class Signals {
 public:
  explicit Signals(std::function<void()> first) : first_(std::move(first)) {
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaction(signal, &action, nullptr);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

 private:
  void run(const std::stop_token& stop) {
    bool told = false;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      changed_.wait_for(lock, stop, Duration(100), [] { return false; });
      if (signals_seen > 1 && told) ::_exit(1);
      if (signals_seen == 0 || std::exchange(told, true)) continue;
      log_info("stopping: work is handed back");
      first_();
    }
  }

  std::function<void()> first_;
  Mutex mutex_;
  Condition changed_;
  std::jthread thread_;
};

ArtifactSetting artifact_setting(const Options& options, const Session& session) {
  ArtifactSetting setting;
  setting.client = [&session] { return session.artifacts(); };
  setting.descriptor_socket = [&session] { return session.descriptor_socket(); };
  setting.connected = [&session] { return session.connected(); };
  setting.spool_folder = options.data_dir;
  return setting;
}

DevicePlan plan_of(MachineGpus& gpus, const std::vector<DeviceSpec>& wishes) {
  gpus.claim(wishes);
  return plan_devices(wishes, gpus.offered(), gpus.why_none(), machine_size());
}

// What was asked for by name on the command line has to be there; later what is left of it is
// offered: a driver that fails takes a machine's GPUs, not the machine.
Status check_wishes(MachineGpus& gpus, const std::vector<DeviceSpec>& wishes) {
  if (wishes.empty()) return Status::success();
  const DevicePlan plan = plan_of(gpus, wishes);
  return plan.missing.empty() ? Status::success()
                              : error(Code::kFailedPrecondition, plan.missing.front(), "device");
}

Status dismissal(const Settings& settings, Status said) {
  if (said.field == "version") {
    said.message = "the cluster " + settings.cluster + " refuses this worker: " + said.message;
  } else {
    said.message =
        "the cluster " + settings.cluster + " has dismissed this machine: " + said.message;
    said.hint = "to come back: a new join file and an empty --data-dir";
  }
  return said;
}

WorkerLoopParts loop_parts([[maybe_unused]] const Options& options) {
  WorkerLoopParts parts;
  parts.clock = &system_clock();
#ifdef OVERWINTER_TEST_SWITCHES
  if (options.units_per_second > 0) parts.make_work = paced(options.units_per_second);
#endif
  return parts;
}

int work(const Options& options, const Settings& settings, MachineGpus& gpus) {
  auto incarnation =
      next_incarnation(options.data_dir, static_cast<std::uint64_t>(system_clock().wall().count()));
  if (!incarnation) return complain(incarnation.error(), kUsage);
  auto records = WorkerRecords::open(options.data_dir, *incarnation);
  if (!records) return complain(records.error(), kUsage);
  auto network = peer_network(options.peer_address, settings.addresses);
  if (!network) return complain(network.error(), kUsage);
  const DevicePlan plan = plan_of(gpus, settings.devices);
  for (const std::string& missing : plan.missing) log_warning("{}", missing);
  if (plan.devices.empty())
    return complain(error(Code::kFailedPrecondition, plan.missing.front(), "device",
                          "another --device, or the driver mended"),
                    kUsage);
  ComputePool devices = make_devices(plan, options.data_dir);

  std::unique_ptr<WorkerLoop> loop;
  // The session comes after the port that it tells of; until then nothing is asked of it.
  std::unique_ptr<Session> session;
  Gangs gangs(options, settings, *network, {gpus.program_devices(plan), &gpus.found()}, devices,
              session, [&loop](Input input) { loop->post(std::move(input)); });
  SessionConfig session_config =
      session_config_of(options, settings, machine_of(options, settings, devices, *network, gangs));
  session_config.seed = incarnation->value() ^ settings.worker;
  session_config.asked = [&gangs](const v1::CoordinatorMessage& question) { gangs.ask(question); };
  std::atomic<bool> dismissed = false;
  session_config.dismissed = [&loop, &dismissed, &settings](const Status& status) {
    (void)complain(dismissal(settings, status), kRefused);
    dismissed = true;
    loop->post(ShutDown{kShutDownWithin});
  };
  session = std::make_unique<Session>(session_config, [&loop](std::vector<Input> inputs) {
    return loop->post_orders(std::move(inputs));
  });
  RemoteArtifacts remote(artifact_setting(options, *session));
  ArtifactAccess* artifacts = &remote;
#ifdef OVERWINTER_TEST_SWITCHES
  LyingArtifacts lying(remote, options.lie);
  if (!options.lie.empty()) artifacts = &lying;
#endif

  WorkerLoopParts parts = loop_parts(options);
  parts.devices = &devices;
  parts.artifacts = artifacts;
  parts.link = session.get();
  parts.gangs = [&gangs] { return gangs.seats(); };
  parts.records = &*records;
  parts.generation_changed = [&options](Generation generation) {
    save_generation(options.data_dir, generation);
  };
  WorkerCoreConfig core;
  core.incarnation = *incarnation;
  core.generation = load_generation(options.data_dir);
  core.devices = static_cast<std::uint32_t>(devices.size());
  loop = std::make_unique<WorkerLoop>(core, parts);
  loop->set_room_callback([&session] { session->have_room(); });

  const Signals signals([&loop] { loop->post(ShutDown{kShutDownWithin}); });
  session->start();
  {
    const Pulse pulse(options.data_dir, [&session] { return session->connected(); });
    loop->run();
  }
  session->stop(kFlushWithin);
  gangs.end();  // what it still says goes to the loop
  loop.reset();
  log_info("stopped");
  return dismissed ? kRefused : 0;
}

}  // namespace

int run_worker(const Options& options) {
  if (options.healthy) {
    const Status lately =
        connected_lately(options.data_dir, std::filesystem::file_time_type::clock::now());
    return lately.ok() ? 0 : complain(lately, kUnhealthy);
  }
  std::error_code failed;
  std::filesystem::create_directories(options.data_dir.parent_path(), failed);
  if (Status made = ensure_private_folder(options.data_dir); !made.ok())
    return complain(made, kUsage);
  auto lock = FolderLock::take(options.data_dir);
  if (!lock) return complain(lock.error(), kUsage);
  MachineGpus gpus;
  if (Status good = check_wishes(gpus, options.devices); !good.ok()) return complain(good, kUsage);
  const JoinOutcome joined = settings_of(options);
  if (joined.exit_code != 0) return joined.exit_code;
  return work(options, joined.settings, gpus);
}

}  // namespace overwinter::worker
