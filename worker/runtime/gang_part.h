// GangPart: one attempt of a gang on this host, from its directory to the last trace of it. The
// first host's runs mpirun and asks the other daemons for theirs; another host's waits to be asked
// and runs orted.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "worker/local/local_server.h"
#include "worker/runtime/gang_folder.h"
#include "worker/runtime/gang_order.h"
#include "worker/runtime/gang_ports.h"
#include "worker/runtime/gang_ranks.h"
#include "worker/runtime/gang_text.h"
#include "worker/runtime/kept_program.h"

namespace overwinter::worker {

// Public calls: any thread; they return at once. Everything else happens on the part's own thread.
class GangPart final : private LocalServer::Handler {
 public:
  using RemoteEnded = std::function<void(int exit_code, const std::string& message)>;

  // Makes the directory and the socket, and on the first host starts mpirun. The order was checked.
  [[nodiscard]] static Result<std::unique_ptr<GangPart>> start(GangOrder order,
                                                               const GangPlaces& places,
                                                               const GangPrograms& programs,
                                                               PeerLaunches& peers,
                                                               GangObserver& observer);
  // Kills what is left and waits for it.
  ~GangPart() override;
  GangPart(const GangPart&) = delete;
  GangPart& operator=(const GangPart&) = delete;

  // The first host asked for orted, and was allowed to. `ended` is called once, from the part's
  // thread.
  void begin_remote(std::vector<std::string> command, RemoteEnded ended);
  // That request is over (`why` empty: as it should be); what it started ends now.
  void end_remote(const std::string& why);

  void ask_ranks(v1::RankStop::How how);
  void checkpoint_kept(std::uint32_t rank, const v1::CheckpointKept& answer);
  // SIGTERM, and SIGKILL to everything after `grace`; at once where it is 0. No fault.
  void end(Duration grace);

  [[nodiscard]] const GangOrder& order() const { return order_; }
  [[nodiscard]] bool finished() const { return finished_; }

 private:
  struct Agent {
    std::size_t host = 0;
    std::unique_ptr<PeerLaunches::Launch> launch;
  };

  // ---- gang_part.cpp
  GangPart(GangOrder order, GangFolder folder, const GangPrograms& programs, PeerLaunches& peers,
           GangObserver& observer);
  void post(std::function<void()> what);
  void run(const std::stop_token& stop);
  void wait_for_something(Duration within);
  void run_posted();
  void let_the_first_host_speak();
  void tick(SteadyTime now);
  void note_sockets(const GangPlaces& places);
  Status start_program(std::vector<std::string> command);
  void hear_keeper();
  void hear_output(bool all);
  [[nodiscard]] std::string program_name() const;
  void program_ended(int status);
  void note_fault(GangFault fault);
  [[nodiscard]] bool knows_no_cause() const;
  void blame(GangFault fault);  // notes it and ends the gang here
  void kill_everything();

  // ---- gang_part_end.cpp
  void finish();
  [[nodiscard]] std::optional<GangFault> noticed() const;  // by Open MPI
  [[nodiscard]] GangFault verdict() const;

  void emit(const GangEvent& event) { observer_.gang_event(order_.key, event); }

  // ---- gang_part_messages.cpp: LocalServer::Handler
  [[nodiscard]] bool admits(const LocalPeer& peer) override;
  void received(LocalServer::Connection from, const LocalPeer& peer,
                const v1::LocalRequest& message) override;
  void closed(LocalServer::Connection from) override;
  void rank_said(LocalServer::Connection from, const v1::LocalRequest& message);
  [[nodiscard]] const v1::RankTask& task_of(std::uint32_t rank) const;
  [[nodiscard]] std::filesystem::path job_folder(std::uint32_t rank) const;
  void rank_ended(GangRank& rank, std::uint32_t number, const v1::RankEnded& ended);
  void agent_asked(LocalServer::Connection from, const v1::AgentLaunch& launch);
  void agent_ended(LocalServer::Connection agent, const PeerLaunchEnd& end);

  const GangOrder order_;
  const GangPrograms programs_;
  PeerLaunches& peers_;
  GangObserver& observer_;
  int wake_ = -1;
  std::atomic<bool> finished_{false};

  // Of the part's thread.
  std::optional<GangFolder> folder_;
  std::unique_ptr<LocalServer> server_;
  std::optional<KeptProgram> program_;
  bool program_gone_ = false;
  std::vector<std::string> sockets_;  // NAME=PATH of ranks that speak to other daemons
  bool output_open_ = false;
  GangRanks ranks_;
  std::map<LocalServer::Connection, Agent> agents_;
  LineReader lines_;
  NoticeReader notice_;
  std::vector<GangFault> faults_;  // in the order of their coming
  std::map<pid_t, int> reaped_;    // wait statuses of ranks that the keeper reaped
  std::optional<int> program_status_;
  RemoteEnded remote_ended_;
  bool ending_ = false;  // nothing that happens now is a fault
  bool told_ = false;    // by end()
  bool killed_ = false;
  std::optional<SteadyTime> kill_at_;
  SteadyTime last_tick_;

  Mutex mutex_;
  std::deque<std::function<void()>> posted_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
