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

namespace overwinter::worker {
namespace {

constexpr Duration kTick{250};
// Longer without a tick means that this process did not run.
constexpr Duration kStall{2000};
constexpr Duration kFirstHostSpeaksWithin{2000};
constexpr std::size_t kFaultsMax = 64;
constexpr std::size_t kReapedMax = 4096;

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
  kept.environment = gang_environment(folder_->path(), folder_->socket(), programs_.bundle);
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

}  // namespace overwinter::worker
