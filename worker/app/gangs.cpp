#include "worker/app/gangs.h"

#include <unistd.h>

#include <utility>

#include "common/base/log.h"

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
  return programs;
}

GangPlaces gang_places(const Options& options, const Settings& settings) {
  GangPlaces places;
  places.cluster = settings.cluster;
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

}  // namespace

Gangs::Gangs(const Options& options, const Settings& settings, const PeerNetwork& network,
             ComputePool& devices, const std::unique_ptr<Session>& session, PostInput post)
    : files_([&session] { return session ? session->artifacts() : nullptr; }),
      checkpoints_(transfer_setting(session)),
      log_([&session] { return session ? session->bulk() : nullptr; }) {
  GangTryParts parts;
  parts.places = gang_places(options, settings);
  parts.worker = WorkerId(settings.worker);
  parts.network = network.network;
  parts.devices = &devices;
  parts.files = &files_;
  parts.checkpoints = &checkpoints_;
  parts.log = &log_;
  parts.post = std::move(post);
  PeerClientConfig calls;
  calls.leaf_dir = options.data_dir / "identity";
  calls_ = std::make_unique<PeerClient>(calls);
  seats_ = std::make_unique<GangSeats>(std::move(parts), gang_programs(), *calls_);
  port_ = open_peer_port(options, settings, network, seats_->launcher());
}

void Gangs::end() {
  port_.reset();
  seats_.reset();
}

}  // namespace overwinter::worker
