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
#include "worker/app/peer_network.h"
#include "worker/app/settings.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/rpc/join.h"
#include "worker/rpc/peer_server.h"
#include "worker/rpc/seat_artifacts.h"
#include "worker/rpc/session.h"
#include "worker/runtime/worker_loop.h"
#ifdef OVERWINTER_TEST_SWITCHES
#include "worker/app/lying_artifacts.h"
#endif

namespace overwinter::worker {
namespace {

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

HostSize this_host() {
  return {static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
              static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)),
          std::max(1U, std::thread::hardware_concurrency())};
}

// What --device leaves open, filled in: all threads; 80 % of the memory, shared by those that do
// not say.
std::vector<DeviceSpec> filled(std::vector<DeviceSpec> devices) {
  if (devices.empty()) devices.emplace_back();
  const HostSize host = this_host();
  const std::uint64_t memory = host.memory_bytes / 10 * 8;
  const auto open = [&](auto member) {
    return std::count_if(devices.begin(), devices.end(),
                         [member](const DeviceSpec& d) { return d.*member == 0; });
  };
  const auto open_memory = static_cast<std::uint64_t>(open(&DeviceSpec::memory_bytes));
  const auto open_threads = static_cast<std::uint32_t>(open(&DeviceSpec::threads));
  for (DeviceSpec& device : devices) {
    if (device.memory_bytes == 0) device.memory_bytes = memory / open_memory / kMiB * kMiB;
    if (device.threads == 0) device.threads = std::max(1U, host.cpus / open_threads);
  }
  return devices;
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
  settings.devices = filled(options.devices);
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
    kept->devices = filled(options.devices);
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
  machine.host = this_host();
  for (const auto& device : devices) machine.devices.push_back(device->info());
  if (const PeerServer* peers = gangs.port()) {
    machine.peer_address = network.address + ":" + std::to_string(peers->port());
    machine.network = network.network;
    machine.shared_network = options.shared_network;
  }
  machine.no_exec = gangs.site().confinement.why_not;
  if (machine.no_exec.empty()) machine.memory_limit = gangs.site().memory.describe();
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

ComputePool make_devices(const Settings& settings) {
  ComputePool devices;
  for (const DeviceSpec& spec : settings.devices) {
    devices.push_back(
        make_cpu_device(spec.memory_bytes, spec.threads, static_cast<DeviceIndex>(devices.size())));
    measure(*devices.back(), kMeasureSeconds);
    const DeviceInfo& info = devices.back()->info();
    log_info("device {}: {} ({}), {}, {} threads, {:.1f} GFLOP/s fp32, {:.1f} fp64",
             devices.size() - 1, info.kind, info.model, format_bytes(info.memory_bytes),
             info.threads, info.gflops_fp32, info.gflops_fp64);
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

int work(const Options& options, const Settings& settings) {
  auto incarnation =
      next_incarnation(options.data_dir, static_cast<std::uint64_t>(system_clock().wall().count()));
  if (!incarnation) return complain(incarnation.error(), kUsage);
  auto records = WorkerRecords::open(options.data_dir, *incarnation);
  if (!records) return complain(records.error(), kUsage);
  auto network = peer_network(options.peer_address, settings.addresses);
  if (!network) return complain(network.error(), kUsage);
  ComputePool devices = make_devices(settings);

  std::unique_ptr<WorkerLoop> loop;
  // The session comes after the port that it tells of; until then nothing is asked of it.
  std::unique_ptr<Session> session;
  Gangs gangs(options, settings, *network, devices, session,
              [&loop](Input input) { loop->post(std::move(input)); });
  SessionConfig session_config =
      session_config_of(options, settings, machine_of(options, settings, devices, *network, gangs));
  session_config.seed = incarnation->value() ^ settings.worker;
  session_config.asked = [&gangs](const v1::CoordinatorMessage& question) { gangs.ask(question); };
  std::atomic<bool> dismissed = false;
  session_config.dismissed = [&loop, &dismissed, &settings](const Status& status) {
    Status said = status;
    if (status.field == "version") {
      said.message = "the cluster " + settings.cluster + " refuses this worker: " + status.message;
    } else {
      said.message =
          "the cluster " + settings.cluster + " has dismissed this machine: " + status.message;
      said.hint = "to come back: a new join file and an empty --data-dir";
    }
    (void)complain(said, kRefused);
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

  WorkerLoopParts parts;
  parts.clock = &system_clock();
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
  loop->run();
  session->stop(kFlushWithin);
  gangs.end();  // what it still says goes to the loop
  loop.reset();
  log_info("stopped");
  return dismissed ? kRefused : 0;
}

}  // namespace

int run_worker(const Options& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.data_dir.parent_path(), failed);
  if (Status made = ensure_private_folder(options.data_dir); !made.ok())
    return complain(made, kUsage);
  auto lock = FolderLock::take(options.data_dir);
  if (!lock) return complain(lock.error(), kUsage);
  const JoinOutcome joined = settings_of(options);
  if (joined.exit_code != 0) return joined.exit_code;
  return work(options, joined.settings);
}

}  // namespace overwinter::worker
