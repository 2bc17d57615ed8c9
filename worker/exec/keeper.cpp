#include "worker/exec/keeper.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>

#include "worker/exec/ending.h"
#include "worker/exec/keeper_protocol.h"
#include "worker/exec/process_table.h"
#include "worker/exec/start_process.h"
#include "worker/exec/tree_memory.h"

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTellMemoryEvery{1000};

class Keeper {
 public:
  Keeper(TreeOrder order, MemoryGroups groups, Descriptor signals)
      : order_(std::move(order)), groups_(std::move(groups)), signals_(std::move(signals)) {
    if (order_.memory.support.kind == MemoryKind::kWatchdog && order_.memory.limit_bytes > 0)
      watch_.emplace(order_.memory.limit_bytes, order_.confinement.uid);
    if (used()) tell_due_ = steady_clock::now() + kTellMemoryEvery;
  }

  void run() {
    if (start_all())
      while (running_ > 0 && !ending_) turn();
    finish();
  }

 private:
  struct Child {
    pid_t pid = 0;
    bool ended = false;
  };

  bool start_all() {
    for (std::size_t i = 0; i < order_.processes.size(); ++i) {
      Result<pid_t> pid = start_process(order_, i, groups_);
      if (!pid) {
        Report report{.kind = Report::Kind::kRefused, .process = static_cast<std::uint32_t>(i)};
        report.code = static_cast<std::int32_t>(pid.error().code);
        std::snprintf(report.text.data(), report.text.size(), "%s", pid.error().message.c_str());
        send(report);
        return false;
      }
      children_.push_back({*pid});
      ++running_;
      send({.kind = Report::Kind::kStarted,
            .process = static_cast<std::uint32_t>(i),
            .number = static_cast<std::uint64_t>(*pid)});
    }
    // The programs have them; while the keeper kept its own, nobody would see their end.
    for (std::size_t i = 0; i < 2 * order_.processes.size(); ++i)
      ::close(kFirstOutputDescriptor + static_cast<int>(i));
    order_.processes.clear();  // and their secrets
    return true;
  }

  void turn() {
    pollfd wait[3] = {
        {kControlDescriptor, POLLIN, 0}, {signals_.get(), POLLIN, 0}, {groups_.event(), POLLIN, 0}};
    if (::poll(wait, 3, timeout_ms()) < 0 && errno != EINTR) {
      ending_ = true;
      return;
    }
    if (wait[0].revents != 0) take_command();
    if (wait[1].revents != 0) take_signals();
    if (wait[2].revents != 0 || groups_.over_limit()) over_limit();
    if (watch_ && steady_clock::now() >= watch_due_) look();
    if (tell_due_ && steady_clock::now() >= *tell_due_) tell_memory();
    if (stop_by_ && steady_clock::now() >= *stop_by_) ending_ = true;
  }

  [[nodiscard]] int timeout_ms() const {
    std::optional<steady_clock::time_point> next = stop_by_;
    if (watch_) next = next ? std::min(*next, watch_due_) : watch_due_;
    if (tell_due_) next = next ? std::min(*next, *tell_due_) : tell_due_;
    if (!next) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*next - steady_clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60000));
  }

  void take_command() {
    Command command;
    const ssize_t got = ::recv(kControlDescriptor, &command, sizeof command, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got != static_cast<ssize_t>(sizeof command) || command.kind == Command::Kind::kKill) {
      ending_ = true;  // also: the daemon is gone
      return;
    }
    for (const Child& child : children_)
      if (!child.ended && command.signal > 0) ::kill(-child.pid, command.signal);
    stop_by_ = steady_clock::now() + milliseconds(std::max<std::int64_t>(0, command.grace_ms));
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      if (info.ssi_signo == SIGTERM) ending_ = true;
    reap();
  }

  // Whether a child is left.
  bool reap() {
    while (true) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) return false;
      if (pid == 0) return true;
      note_end(pid, status);
    }
  }

  void note_end(pid_t pid, int status) {
    const auto child = std::find_if(children_.begin(), children_.end(),
                                    [&](const Child& c) { return c.pid == pid && !c.ended; });
    if (child == children_.end()) return;  // adopted
    child->ended = true;
    --running_;
    // Before its end is told, so that the end is not taken for the program's own doing.
    if (groups_.over_limit()) over_limit();
    Report report{.kind = Report::Kind::kEnded,
                  .process = static_cast<std::uint32_t>(child - children_.begin())};
    if (WIFEXITED(status)) report.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) report.signal = WTERMSIG(status);
    send(report);
  }

  void over_limit() {
    ending_ = true;
    if (std::exchange(over_limit_, true)) return;
    send({.kind = Report::Kind::kOverLimit, .peak_bytes = peak()});
  }

  void look() {
    const TreeMemory::Seen seen = watch_->look();
    if (seen.over_limit) over_limit();
    watch_due_ = steady_clock::now() + seen.wait;
  }

  void tell_memory() {
    tell_due_ = steady_clock::now() + kTellMemoryEvery;
    const std::uint64_t now = used().value_or(0);
    if (now == told_used_) return;
    const Report report{.kind = Report::Kind::kMemory, .number = now, .peak_bytes = peak()};
    // A daemon that is busy is not waited for: the next one says it.
    if (::send(kControlDescriptor, &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
      told_used_ = now;
  }

  // Nothing: nobody counts.
  [[nodiscard]] std::optional<std::uint64_t> used() const {
    return watch_ ? watch_->used_bytes() : groups_.used_bytes();
  }
  [[nodiscard]] std::uint64_t peak() const {
    return watch_ ? watch_->peak_bytes() : groups_.peak_bytes().value_or(0);
  }

  void finish() {
    const bool clean = end_everything(
        groups_, order_.confinement.uid, [this] { return reap(); }, kEndPatience);
    Report report{.kind = Report::Kind::kFinished};
    report.number = clean ? 0 : descendants_of(::getpid()).size();
    report.peak_bytes = peak();
    groups_.remove();
    send(report);
  }

  // A daemon that is gone reads nothing: the tree ends all the same.
  static void send(const Report& report) {
    while (::send(kControlDescriptor, &report, sizeof report, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  TreeOrder order_;
  MemoryGroups groups_;
  const Descriptor signals_;
  std::optional<TreeMemory> watch_;
  steady_clock::time_point watch_due_{};
  std::optional<steady_clock::time_point> stop_by_;
  std::optional<steady_clock::time_point> tell_due_;
  std::uint64_t told_used_ = 0;
  std::vector<Child> children_;
  std::size_t running_ = 0;
  bool ending_ = false;
  bool over_limit_ = false;
};

void refuse(const Status& status) {
  Report report{.kind = Report::Kind::kRefused, .process = kNoProcess};
  report.code = static_cast<std::int32_t>(status.code);
  std::snprintf(report.text.data(), report.text.size(), "%s", status.message.c_str());
  (void)::send(kControlDescriptor, &report, sizeof report, MSG_NOSIGNAL);
}

Descriptor block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE}) sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::optional<std::string> read_order() {
  const Descriptor order(kOrderDescriptor);
  return read_small_file(fmt::format("/proc/self/fd/{}", order.get()), kOrderBytesMax);
}

}  // namespace

int run_keeper() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::fcntl(kControlDescriptor, F_SETFD, FD_CLOEXEC);
  Descriptor signals = block_signals();
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || !signals.valid()) {
    refuse(error(Code::kInternal, "the keeper cannot become a subreaper"));
    return 1;
  }
  auto bytes = read_order();
  if (!bytes) {
    refuse(error(Code::kInternal, "the keeper has no order"));
    return 1;
  }
  Result<TreeOrder> order = decode_order(*bytes);
  std::fill(bytes->begin(), bytes->end(), '\0');
  if (!order) {
    refuse(order.error());
    return 1;
  }
  Result<MemoryGroups> groups = MemoryGroups::make(order->memory);
  if (!groups) {
    refuse(groups.error());
    return 1;
  }
  Keeper(std::move(*order), std::move(*groups), std::move(signals)).run();
  return 0;
}

}  // namespace overwinter::worker::exec
