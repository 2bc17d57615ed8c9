// What a daemon has for gangs: its port for other daemons, its seats, its calls to others.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/app/options.h"
#include "worker/app/peer_network.h"
#include "worker/app/program_machine.h"
#include "worker/app/settings.h"
#include "worker/rpc/checkpoint_transfer.h"
#include "worker/rpc/job_file_reader.h"
#include "worker/rpc/log_pusher.h"
#include "worker/rpc/output_sender.h"
#include "worker/rpc/peer_client.h"
#include "worker/rpc/peer_prober.h"
#include "worker/rpc/peer_server.h"
#include "worker/rpc/secret_reader.h"
#include "worker/rpc/session.h"
#include "worker/runtime/gang_seats.h"

namespace overwinter::worker {

class Gangs {
 public:
  // `session` may be null while it is not used yet; it and the devices outlive this object.
  Gangs(const Options& options, const Settings& settings, const PeerNetwork& network,
        MachineDevices machine, ComputePool& devices, const std::unique_ptr<Session>& session,
        PostInput post);
  ~Gangs() { end(); }
  Gangs(const Gangs&) = delete;
  Gangs& operator=(const Gangs&) = delete;

  [[nodiscard]] GangSeats* seats() { return seats_.get(); }
  [[nodiscard]] const PeerServer* port() const { return port_.get(); }  // null: none
  // How programs of users run here.
  [[nodiscard]] const ProgramSite& site() const { return site_; }
  // A question of the coordinator about this machine or the way to another. Never blocks.
  void ask(const v1::CoordinatorMessage& question) { prober_->ask(question); }
  // Ends all gangs here and waits. May be called twice.
  void end();

 private:
  [[nodiscard]] Result<std::shared_ptr<GangWork>> make_work(GangLauncher& launcher,
                                                            const GangKey& key,
                                                            const OfferSeat& offer,
                                                            GangWorkObserver& observer);

  const WorkerId worker_;
  const std::filesystem::path products_folder_;
  ComputePool& devices_;
  const GangPlaces places_;
  const PeerNetwork network_;
  const ProgramSite site_;
  JobFileReader files_;
  CheckpointTransfer checkpoints_;
  LogPusher log_;
  SecretReader secrets_;
  OutputSender outputs_;
  std::unique_ptr<PeerClient> calls_;
  std::unique_ptr<GangSeats> seats_;
  std::unique_ptr<PeerServer> port_;
  std::unique_ptr<PeerProber> prober_;
};

}  // namespace overwinter::worker
