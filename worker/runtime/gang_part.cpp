#include "worker/runtime/gang_part.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"

namespace overwinter::worker {
namespace {

constexpr Duration kTick{250};
// Longer without a tick means that this process did not run.
constexpr Duration kStall{2000};
// Twice the second that Open MPI leaves a program after SIGTERM, and time to say which rank ended
// and how, which it does last.
constexpr Duration kOthersEndWithin{4000};
constexpr Duration kFirstHostSpeaksWithin{2000};
constexpr int kOutputEndTries = 20;
constexpr int kOutputEndMs = 50;
constexpr std::size_t kFaultsMax = 64;
constexpr std::size_t kReapedMax = 4096;

std::string path_trouble(const std::string& path, const std::filesystem::path& folder) {
  const std::filesystem::path whole(path);
  const auto [end, ignored] =
      std::mismatch(folder.begin(), folder.end(), whole.begin(), whole.end());
  const bool inside = end == folder.end();
  const bool up = std::find(whole.begin(), whole.end(), "..") != whole.end();
  return inside && !up ? "" : "a file of a checkpoint is not in the job's directory: " + path;
}

}  // namespace

GangPart::GangPart(GangOrder order, GangFolder folder, const GangPrograms& programs,
                   PeerLaunches& peers, GangObserver& observer)
    : order_(std::move(order)),
      programs_(programs),
      peers_(peers),
      observer_(observer),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      folder_(std::move(folder)),
      ranks_(order_, std::chrono::steady_clock::now()),
      last_tick_(std::chrono::steady_clock::now()) {
  check(wake_ >= 0, "an eventfd can be made");
}

Result<std::unique_ptr<GangPart>> GangPart::start(GangOrder order, const GangPlaces& places,
                                                  const GangPrograms& programs, PeerLaunches& peers,
                                                  GangObserver& observer) {
  auto folder =
      GangFolder::make(places, gang_name(order.key, order.starts() ? WorkerId() : order.worker),
                       order.uid, order.gid);
  if (!folder) return fail(folder.error());
  std::unique_ptr<GangPart> part(
      new GangPart(std::move(order), std::move(*folder), programs, peers, observer));
  auto server = LocalServer::listen(part->folder_->socket(), part->order_.uid, *part);
  if (!server) return fail(server.error());
  part->server_ = std::move(*server);
  part->note_sockets(places);
  if (part->order_.leads()) {
    Status started = part->start_program(mpirun_command(part->order_, programs));
    if (!started.ok()) return fail(started);
  }
  part->thread_ = std::jthread([raw = part.get()](const std::stop_token& stop) { raw->run(stop); });
  return part;
}

GangPart::~GangPart() {
  if (thread_.joinable()) {
    thread_.request_stop();
    post([] {});
    thread_.join();
  }
  ::close(wake_);
}

void GangPart::post(std::function<void()> what) {
  {
    const MutexLock lock(mutex_);
    posted_.push_back(std::move(what));
  }
  const std::uint64_t one = 1;
  // It fails only when the counter is full: then the thread is awake.
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
}

void GangPart::begin_remote(std::vector<std::string> command, RemoteEnded ended) {
  post([this, command = std::move(command), ended = std::move(ended)]() mutable {
    if (program_ || ending_ || killed_) {
      ended(255, "this gang has ended here");
      return;
    }
    remote_ended_ = std::move(ended);
    if (Status started = start_program(std::move(command)); !started.ok()) {
      blame(make_fault(GangFaultKind::kCannotStart, {}, order_.self, started.message));
    }
  });
}

void GangPart::end_remote(const std::string& why) {
  post([this, why] {
    if (!why.empty()) blame(make_fault(GangFaultKind::kHostLost, {}, 0, why));
    ending_ = true;
    kill_everything();
  });
}

void GangPart::ask_ranks(v1::RankStop::How how) {
  post([this, how] {
    v1::LocalResponse message;
    message.mutable_stop()->set_how(how);
    for (const auto& [number, rank] : ranks_.all()) {
      if (rank.connection) server_->send(*rank.connection, message);
    }
  });
}

void GangPart::checkpoint_kept(std::uint32_t rank, const v1::CheckpointKept& answer) {
  post([this, rank, answer] {
    const auto found = ranks_.all().find(rank);
    if (found == ranks_.all().end() || !found->second.connection) return;
    v1::LocalResponse message;
    *message.mutable_checkpoint_kept() = answer;
    server_->send(*found->second.connection, message);
  });
}

void GangPart::end(Duration grace) {
  post([this, grace] {
    ending_ = told_ = true;
    if (grace <= Duration(0)) return kill_everything();
    if (program_) program_->terminate();
    const SteadyTime at = std::chrono::steady_clock::now() + grace;
    kill_at_ = kill_at_ ? std::min(*kill_at_, at) : at;
  });
}

void GangPart::run(const std::stop_token& stop) {
  while (!program_gone_) {
    wait_for_something(kTick);
    run_posted();
    if (stop.stop_requested()) {
      ending_ = told_ = true;
      kill_everything();
    }
    server_->process();
    if (program_) {
      hear_output(false);
      hear_keeper();
    }
    tick(std::chrono::steady_clock::now());
  }
  let_the_first_host_speak();
  finish();
}

// Where nothing more is known than that a rank is gone, or that this host is to end, the first host
// knows why: its word is heard first, and then this daemon's own tells it to end.
void GangPart::let_the_first_host_speak() {
  const SteadyTime until = std::chrono::steady_clock::now() + kFirstHostSpeaksWithin;
  while (!order_.leads() && knows_no_cause() && !told_ &&
         std::chrono::steady_clock::now() < until) {
    pollfd wait{wake_, POLLIN, 0};
    ::poll(&wait, 1, static_cast<int>(kTick.count()));
    std::uint64_t drained = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_, &drained, sizeof drained);
    run_posted();
  }
}

void GangPart::wait_for_something(Duration within) {
  std::array<pollfd, 4> wait{pollfd{wake_, POLLIN, 0}, pollfd{server_->descriptor(), POLLIN, 0},
                             pollfd{program_ ? program_->socket() : -1, POLLIN, 0},
                             pollfd{output_open_ ? program_->output() : -1, POLLIN, 0}};
  ::poll(wait.data(), wait.size(), static_cast<int>(within.count()));
  std::uint64_t drained = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_, &drained, sizeof drained);
}

void GangPart::run_posted() {
  std::deque<std::function<void()>> todo;
  {
    const MutexLock lock(mutex_);
    todo.swap(posted_);
  }
  for (const auto& what : todo) what();
}

void GangPart::tick(SteadyTime now) {
  const auto gap = std::chrono::duration_cast<Duration>(now - last_tick_);
  last_tick_ = now;
  if (gap > kStall) ranks_.forgive(gap);
  if (kill_at_ && now >= *kill_at_) kill_everything();
  if (ending_ || killed_) return;
  if (auto fault = ranks_.overdue(now)) blame(std::move(*fault));
  // Another daemon started these ranks, and hears how they end.
  if (!order_.starts() && ranks_.all_ended()) program_gone_ = true;
}

// Ranks of other workers of this host speak to their own daemons.
void GangPart::note_sockets(const GangPlaces& places) {
  for (std::uint32_t i = 0; i < order_.owners.size(); ++i) {
    const WorkerId owner = order_.owners[i];
    if (owner == order_.worker) continue;
    sockets_.push_back(rank_socket_variable(order_.first_rank(order_.self) + i) + "=" +
                       gang_socket(places, gang_name(order_.key, owner)).string());
  }
}

Status GangPart::start_program(std::vector<std::string> command) {
  KeptCommand kept;
  kept.keeper = programs_.agent;
  kept.uid = order_.uid;
  kept.gid = order_.gid;
  kept.command = std::move(command);
  kept.environment = gang_environment(folder_->path(), folder_->socket());
  kept.environment.insert(kept.environment.end(), sockets_.begin(), sockets_.end());
  auto started = KeptProgram::start(kept);
  if (!started) return started.error();
  program_.emplace(std::move(*started));
  output_open_ = true;
  return Status::success();
}

void GangPart::hear_keeper() {
  for (const KeeperWord& word : program_->words()) {
    switch (word.kind) {
      case KeeperWord::Kind::kStarted:
        break;
      case KeeperWord::Kind::kFailed:
        blame(make_fault(
            GangFaultKind::kCannotStart, {}, order_.self,
            fmt::format("{} cannot be started: {}", program_name(), std::strerror(word.number))));
        break;
      case KeeperWord::Kind::kReaped:
        if (reaped_.size() < kReapedMax) reaped_[word.pid] = word.number;
        break;
      case KeeperWord::Kind::kEnded:
        program_ended(word.number);
        break;
      case KeeperWord::Kind::kGone:
        // With it went all that it kept, before anything of that could say why.
        if (!program_status_ && !killed_) {
          note_fault(make_fault(GangFaultKind::kLauncherKilled, {}, order_.self,
                                "the process that keeps a gang's processes was ended on " +
                                    order_.hosts[order_.self].mpi_address));
        }
        program_gone_ = true;
        break;
    }
  }
}

std::string GangPart::program_name() const {
  return order_.leads() ? programs_.mpirun.string() : programs_.orted.string();
}

void GangPart::program_ended(int status) {
  program_status_ = status;
  if (status == 0 || killed_) return;
  note_fault(make_fault(
      WIFSIGNALED(status) ? GangFaultKind::kLauncherKilled : GangFaultKind::kLauncherFailed, {},
      order_.self, program_name() + " ended with " + describe_wait_status(status)));
}

bool GangPart::knows_no_cause() const {
  // Told by the first host to end, without a word why.
  if (faults_.empty()) return ending_ && !ranks_.all_clean();
  return std::all_of(faults_.begin(), faults_.end(),
                     [](const GangFault& f) { return f.kind == GangFaultKind::kRankLost; });
}

void GangPart::note_fault(GangFault fault) {
  if (!ending_ && faults_.size() < kFaultsMax) faults_.push_back(std::move(fault));
}

void GangPart::hear_output(bool all) {
  std::string bytes;
  if (output_open_) output_open_ = program_->read_output(bytes);
  lines_.append(bytes);
  for (std::string& line : lines_.lines(all)) {
    GangOutput output = read_tag(std::move(line));
    if (!output.rank) notice_.take(output.text);
    emit(output);
  }
}

void GangPart::blame(GangFault fault) {
  note_fault(std::move(fault));
  kill_everything();
}

void GangPart::kill_everything() {
  killed_ = true;
  if (program_) return program_->kill();
  // Another daemon started them. A rank whose connection is open has still that pid.
  for (const auto& [number, rank] : ranks_.all()) {
    if (rank.connection && rank.pid > 1) ::kill(rank.pid, SIGKILL);
  }
  program_gone_ = true;
}

// ---- what ranks and agents say

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

// ---- the end

void GangPart::finish() {
  if (program_) hear_output(false);
  for (int i = 0; output_open_ && i < kOutputEndTries; ++i) {
    pollfd wait{program_->output(), POLLIN, 0};
    ::poll(&wait, 1, kOutputEndMs);
    hear_output(false);
  }
  if (program_) hear_output(true);
  server_->process();  // last words that were still in the sockets
  server_->process();
  GangFault fault = verdict();
  agents_.clear();
  if (remote_ended_) {
    const bool known = program_status_ && WIFEXITED(*program_status_);
    remote_ended_(known ? WEXITSTATUS(*program_status_) : 255, fault.message);
  }
  program_.reset();
  server_.reset();
  folder_.reset();
  emit(GangEnded{std::move(fault), ranks_.all_clean()});
  finished_ = true;
}

std::optional<GangFault> GangPart::noticed() const {
  if (!notice_.first() || ending_) return std::nullopt;
  const NoticeReader::First& first = *notice_.first();
  std::size_t host = 0;
  while (host + 1 < order_.hosts.size() && order_.first_rank(host + 1) <= first.rank) ++host;
  std::string how = "is gone";
  if (first.signal) how = "was ended by " + describe_wait_status(*first.signal & 0x7f);
  if (first.exit_code) how = fmt::format("ended with exit code {}", *first.exit_code);
  GangFault fault =
      make_fault(GangFaultKind::kRankKilled, first.rank, host,
                 fmt::format("rank {} on {} {}", first.rank, order_.hosts[host].mpi_address, how));
  fault.signal = first.signal;
  fault.exit_code = first.exit_code;
  return fault;
}

GangFault GangPart::verdict() const {
  std::vector<GangFault> all = faults_;
  if (auto fault = noticed()) all.push_back(std::move(*fault));
  // Of equally sure ones the first.
  const auto surest = std::min_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; });
  if (surest == all.end()) return {};
  GangFault fault = *surest;
  if (fault.host) fault.worker = order_.hosts[*fault.host].worker;
  if (fault.kind == GangFaultKind::kLauncherFailed && !notice_.said().empty()) {
    fault.message += "; it said: " + notice_.said();
  }
  if (fault.kind != GangFaultKind::kRankLost) return fault;
  const pid_t pid = ranks_.all().at(*fault.rank).pid;
  const auto found = reaped_.find(pid);
  fault.message = fmt::format(
      "rank {} (pid {}) on {} {}", *fault.rank, pid, order_.hosts[order_.self].mpi_address,
      found == reaped_.end() ? "is gone" : "ended with " + describe_wait_status(found->second));
  if (found != reaped_.end() && WIFSIGNALED(found->second)) fault.signal = WTERMSIG(found->second);
  return fault;
}

}  // namespace overwinter::worker
