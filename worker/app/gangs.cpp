#include "worker/app/gangs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "common/base/bytes.h"
#include "common/base/descriptors.h"
#include "common/base/log.h"
#include "common/security/encoding.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "common/wire/convert.h"
#include "overwinter/v1/job.pb.h"
#include "worker/programs/exec_work.h"
#include "worker/programs/gang_layout.h"
#include "worker/programs/open_mpi_work.h"
#include "worker/rpc/join.h"
#include "worker/runtime/gang_members.h"
#include "worker/runtime/host_facts.h"
#include "worker/runtime/products_file.h"
#include "worker/runtime/rank_work.h"

namespace overwinter::worker {
namespace {

// Programs of gangs lie beside this one.
GangPrograms gang_programs() {
  std::error_code failed;
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  GangPrograms programs;
  programs.agent = folder / "overwinter-launch-agent";
  programs.rank = folder / "overwinter-rank";
  programs.program_rank = folder / "overwinter-program-rank";
  if (std::filesystem::exists(folder / "mpirun", failed)) {
    programs.bundle = folder.parent_path();
    programs.mpirun = folder / "mpirun";
    programs.orted = folder / "orted";
  }
  return programs;
}

// Clusters of one name on one machine (every `overwinter up` makes one called local) keep apart by
// what all workers of a cluster have in common: its root.
std::string mark_of_root(const std::filesystem::path& data_dir) {
  constexpr std::size_t kRootBytesMax = 65'536;
  constexpr std::size_t kMarkCharacters = 8;
  const auto root = read_file(data_dir / "identity" / "current" / "root.pem", kRootBytesMax);
  return root ? "-" + to_hex(sha256(*root)).substr(0, kMarkCharacters) : std::string();
}

GangPlaces gang_places(const Options& options, const Settings& settings) {
  GangPlaces places;
  places.cluster = settings.cluster + mark_of_root(options.data_dir);
  places.jobs = options.job_dir;
  if (::geteuid() == 0) return places;
  // Who is not root makes its own: the folders of the system are not its to write.
  if (options.job_dir == Options().job_dir) places.jobs = options.data_dir / "jobs";
  places.sockets = options.data_dir / "run";
  return places;
}

CheckpointTransferSetting transfer_setting(const std::unique_ptr<Session>& session) {
  CheckpointTransferSetting setting;
  setting.client = [&session] { return session ? session->checkpoints() : nullptr; };
  return setting;
}

// A port that cannot be had costs this worker gangs of several hosts, nothing else.
std::unique_ptr<PeerServer> open_peer_port(const Options& options, const Settings& settings,
                                           const PeerNetwork& network, GangLauncher& launcher) {
  if (network.network.empty()) return nullptr;
  PeerServerConfig config;
  config.leaf_dir = options.data_dir / "identity";
  config.worker = WorkerId(settings.worker);
  config.cluster = settings.cluster;
  config.address = network.address;
  auto server = PeerServer::start(config, launcher);
  if (server) return std::move(*server);
  log_warning("takes part in no gang of several machines: {}", server.error().message);
  return nullptr;
}

// The last of each range that a gang of several machines needs: firewalls open ranges, and a gang
// begins at the first.
std::vector<StandInPort> stand_in_ports() {
  const auto last_of = [](const char* what, int first, int last) {
    return StandInPort{static_cast<std::uint16_t>(last),
                       fmt::format("{}, {} to {}", what, first, last)};
  };
  return {
      last_of("ranks of Open MPI", kMpiPortFirst, kMpiPortFirst + kMpiPorts - 1),
      last_of("mpirun", kMpirunPortFirst, kMpirunPortLast),
      last_of("MASTER_PORT of programs", kMasterPortFirst, kMasterPortFirst + kMasterPorts - 1)};
}

v1::HostFacts describe_host(const std::filesystem::path& data_dir, const GangPlaces& places) {
  v1::HostFacts out;
  const auto now = system_wall_time();
  *out.mutable_time() = wire::to_proto(now);
  const DiskSpace shared = space_in("/dev/shm");
  out.set_shared_memory_free_bytes(shared.free_bytes);
  out.set_shared_memory_total_bytes(shared.total_bytes);
  const DiskSpace jobs = space_for(places.jobs);
  out.set_job_disk_free_bytes(jobs.free_bytes);
  out.set_job_disk_total_bytes(jobs.total_bytes);
  const Descriptors descriptors = descriptors_of_process();
  out.set_descriptors_open(descriptors.open);
  out.set_descriptors_limit(descriptors.limit);
  out.set_no_open_mpi(why_no_open_mpi(gang_programs()));
  if (const auto leaf = load_leaf(leaf_folder(data_dir))) {
    if (const auto info = read_certificate(leaf->leaf.cert_chain_pem)) {
      *out.mutable_certificate_expire_time() = wire::to_proto(info->not_after);
    }
  }
  return out;
}

}  // namespace

Gangs::Gangs(const Options& options, const Settings& settings, const PeerNetwork& network,
             MachineDevices machine, ComputePool& devices, const std::unique_ptr<Session>& session,
             PostInput post)
    : worker_(settings.worker),
      products_folder_(options.data_dir),
      devices_(devices),
      places_(gang_places(options, settings)),
      network_(network),
      site_(program_site(options, settings, places_, std::move(machine))),
      files_([&session] { return session ? session->artifacts() : nullptr; }),
      checkpoints_(transfer_setting(session)),
      log_([&session] { return session ? session->bulk() : nullptr; }),
      secrets_([&session] { return session ? session->bulk() : nullptr; }),
      outputs_([&session] { return session ? session->artifacts() : nullptr; }) {
  PeerClientConfig calls;
  calls.leaf_dir = options.data_dir / "identity";
  calls_ = std::make_unique<PeerClient>(calls);
  GangSeats::Parts parts;
  parts.worker = worker_;
  parts.devices = &devices;
  parts.post = std::move(post);
  parts.make = [this](GangLauncher& launcher, const GangKey& key, const OfferSeat& offer,
                      GangWorkObserver& observer) {
    return make_work(launcher, key, offer, observer);
  };
  seats_ = std::make_unique<GangSeats>(std::move(parts), places_, gang_programs(), *calls_);
  port_ = open_peer_port(options, settings, network, seats_->launcher());
  PeerProberParts prober;
  prober.leaf_dir = calls.leaf_dir;
  prober.ports = stand_in_ports();
  prober.describe = [data_dir = options.data_dir, places = places_] {
    return describe_host(data_dir, places);
  };
  prober.tell = [&session](const v1::WorkerMessage& answer) {
    if (session) session->tell(answer);
  };
  prober_ = std::make_unique<PeerProber>(std::move(prober));
}

Result<std::shared_ptr<GangWork>> Gangs::make_work(GangLauncher& launcher, const GangKey& key,
                                                   const OfferSeat& offer,
                                                   GangWorkObserver& observer) {
  v1::JobSpec spec;
  if (!offer.spec || !spec.ParseFromString(*offer.spec))
    return fail(Code::kInvalidArgument, "the job's specification cannot be read", "spec");
  if (spec.has_train() && is_gpu(devices_[offer.device]->info()))
    return fail(Code::kUnimplemented, "training needs a processor, and the seat is on a GPU");
  if (spec.has_train()) {
    RankWorkParts parts;
    parts.places = places_;
    parts.worker = worker_;
    parts.network = network_.network;
    parts.products = ProductsFile::text_in(products_folder_);
    parts.files = &files_;
    parts.checkpoints = &checkpoints_;
    parts.log = &log_;
    parts.launcher = &launcher;
    return std::make_shared<RankWork>(key, parts, observer);
  }
  if (spec.has_exec()) {
    ProgramWorkParts parts;
    parts.site = &site_;
    parts.worker = worker_;
    parts.address = network_.address;
    parts.files = &files_;
    parts.checkpoints = &checkpoints_;
    parts.log = &log_;
    parts.secrets = &secrets_;
    parts.outputs = &outputs_;
    if (spec.exec().launcher() == "mpi") {
      return std::make_shared<MpiWork>(key, parts, network_.network, launcher, observer);
    }
    return std::make_shared<ExecWork>(key, parts, observer);
  }
  return fail(Code::kUnimplemented, "this worker runs no such gang", "workload");
}

void Gangs::end() {
  prober_.reset();
  port_.reset();
  seats_.reset();
}

}  // namespace overwinter::worker
