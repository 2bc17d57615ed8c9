// What ranks and launch agents say to a gang's part on this host.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/runtime/gang_part.h"

namespace overwinter::worker {
namespace {

// Twice the second that Open MPI leaves a program after SIGTERM, and time to say which rank ended
// and how, which it does last.
constexpr Duration kOthersEndWithin{4000};

std::string path_trouble(const std::string& path, const std::filesystem::path& folder) {
  const std::filesystem::path whole(path);
  const auto [end, ignored] =
      std::mismatch(folder.begin(), folder.end(), whole.begin(), whole.end());
  const bool inside = end == folder.end();
  const bool up = std::find(whole.begin(), whole.end(), "..") != whole.end();
  return inside && !up ? "" : "a file of a checkpoint is not in the job's directory: " + path;
}

}  // namespace

bool GangPart::admits(const LocalPeer& peer) {
  // Only processes of the gang's user come so far; of another daemon's ranks no more is known.
  if (!order_.starts()) return true;
  return program_ && descends_from(peer.pid, program_->keeper_pid());
}

void GangPart::received(LocalServer::Connection from, const LocalPeer& peer,
                        const v1::LocalRequest& message) {
  if (message.has_launch()) return agent_asked(from, message.launch());
  if (!message.has_hello()) return rank_said(from, message);
  const Status known = ranks_.hello(message.hello(), peer, from, std::chrono::steady_clock::now());
  if (!known.ok()) {
    log_warning("{}", known.message);
    server_->close(from);
  }
}

void GangPart::rank_said(LocalServer::Connection from, const v1::LocalRequest& message) {
  GangRank* rank = ranks_.of(from);
  if (rank == nullptr) return server_->close(from);
  const std::uint32_t number = *ranks_.number_of(from);
  const SteadyTime now = std::chrono::steady_clock::now();
  rank->life = now;
  if (message.has_ready() && !rank->ready) {
    rank->ready = true;
    rank->moved = now;
    v1::LocalResponse answer;
    *answer.mutable_task() = task_of(number);
    answer.mutable_task()->set_job_directory(job_folder(number).string());
    server_->send(from, answer);
    emit(GangRankReady{number, rank->pid});
  } else if (message.has_progress()) {
    if (GangRanks::note_progress(*rank, message.progress(), now) && rank->ready) {
      emit(GangRankProgress{number, message.progress()});
    }
  } else if (message.has_checkpoint()) {
    rank->moved = now;
    for (const v1::LocalFile& file : message.checkpoint().files()) {
      const std::string trouble = path_trouble(file.path(), job_folder(number));
      if (trouble.empty()) continue;
      blame(make_fault(GangFaultKind::kTaskFailed, number, order_.self, trouble,
                       message.checkpoint().step()));
      return;
    }
    emit(GangCheckpoint{number, message.checkpoint()});
  } else if (message.has_ended()) {
    rank_ended(*rank, number, message.ended());
  }
}

const v1::RankTask& GangPart::task_of(std::uint32_t rank) const {
  const std::vector<std::uint32_t> own = order_.own_ranks();
  const auto at = std::find(own.begin(), own.end(), rank);
  check(at != own.end(), "a rank that was let in is this worker's");
  return order_.tasks[static_cast<std::size_t>(at - own.begin())];
}

std::filesystem::path GangPart::job_folder(std::uint32_t rank) const {
  const std::string& given = task_of(rank).job_directory();
  return given.empty() ? folder_->path() : std::filesystem::path(given);
}

void GangPart::rank_ended(GangRank& rank, std::uint32_t number, const v1::RankEnded& ended) {
  rank.ended = true;
  rank.clean = ended.ok();
  emit(GangRankEnded{number, rank.pid, rank.clean});
  if (ended.ok()) return;
  GangFault fault =
      make_fault(GangFaultKind::kTaskFailed, number, order_.self, ended.message(), ended.step());
  fault.tensor = ended.tensor();
  if (ended.has_exit_code()) fault.exit_code = ended.exit_code();
  if (ended.signal() != 0) fault.signal = ended.signal();
  note_fault(std::move(fault));
  // It ends the others itself (MPI_Abort); nobody waits longer for that.
  kill_at_ = std::chrono::steady_clock::now() + kOthersEndWithin;
}

void GangPart::closed(LocalServer::Connection from) {
  if (GangRank* rank = ranks_.of(from); rank != nullptr) {
    const std::uint32_t number = *ranks_.number_of(from);
    rank->connection.reset();
    if (rank->ended) return;
    rank->ended = true;
    emit(GangRankEnded{number, rank->pid, false});
    if (ending_ || killed_) return;
    note_fault(
        make_fault(GangFaultKind::kRankLost, number, order_.self, {}, rank->progress.step()));
    // Open MPI ends the others, and says how this one ended; nobody waits longer for that.
    kill_at_ = std::chrono::steady_clock::now() + kOthersEndWithin;
    return;
  }
  agents_.erase(from);  // mpirun gave it up: that ends it over there
}

void GangPart::agent_asked(LocalServer::Connection from, const v1::AgentLaunch& launch) {
  const auto host =
      std::find_if(order_.hosts.begin(), order_.hosts.end(),
                   [&](const GangHost& one) { return one.mpi_address == launch.host(); });
  const auto index = static_cast<std::size_t>(host - order_.hosts.begin());
  const bool twice = std::any_of(agents_.begin(), agents_.end(),
                                 [&](const auto& agent) { return agent.second.host == index; });
  if (!order_.leads() || host == order_.hosts.end() || index == order_.self || twice) {
    log_warning("an agent asks for {}, which is not of this gang or is there already",
                launch.host());
    return server_->close(from);
  }
  v1::LocalResponse accepted;
  accepted.mutable_accepted();
  server_->send(from, accepted);
  PeerLaunchOrder order;
  order.address = host->peer_address;
  order.worker = host->worker;
  order.key = order_.key;
  order.token = host->token;
  order.words = {launch.words().begin(), launch.words().end()};
  Agent& agent = agents_[from];
  agent.host = index;
  agent.launch = peers_.launch(order, [this, from](const PeerLaunchEnd& end) {
    post([this, from, end] { agent_ended(from, end); });
  });
}

void GangPart::agent_ended(LocalServer::Connection agent, const PeerLaunchEnd& end) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return;
  const std::size_t host = found->second.host;
  const std::string where =
      order_.hosts[host].mpi_address + " (peer port " + order_.hosts[host].peer_address + ")";
  v1::LocalResponse message;
  message.mutable_agent_ended()->set_exit_code(end.exit_code);
  message.mutable_agent_ended()->set_message(end.message);
  server_->send(agent, message);
  agents_.erase(found);
  if (end.exit_code == 0 && !end.lost) return;
  const std::string text = end.began ? "lost the host " + where + ": " + end.message
                                     : "cannot start ranks on " + where + ": " + end.message;
  if (end.lost && !ending_ && !killed_) emit(GangHostLost{host, text});
  const auto kind = !end.began ? GangFaultKind::kUnreachable
                    : end.lost ? GangFaultKind::kHostLost
                               : GangFaultKind::kLauncherFailed;
  if (!end.began || end.lost) {
    blame(make_fault(kind, {}, host, text));
  } else {
    // Of orted that ended by itself, mpirun knows more: which rank, and how.
    note_fault(make_fault(kind, {}, host, text));
    kill_at_ = std::chrono::steady_clock::now() + kOthersEndWithin;
  }
}

}  // namespace overwinter::worker
