#include "worker/exec/process_tree.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>

#include "worker/exec/ending.h"
#include "worker/exec/process_table.h"
#include "worker/exec/steady_time.h"

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kReadsPerTurn = 16;      // of one stream, so that the others have their turn
constexpr int kDescriptorsFrom = 512;  // above those that the keeper is given

Status failure(std::string_view what) {
  return error(Code::kInternal, fmt::format("{}: {}", what, std::strerror(errno)));
}

// Moved up, so that no descriptor is overwritten while the keeper's are put into place.
Descriptor high(int fd) {
  const Descriptor low(fd);
  return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, kDescriptorsFrom));
}

Result<Descriptor> order_file(const TreeOrder& order) {
  std::string bytes = encode_order(order);
  if (bytes.size() > kOrderBytesMax)
    return fail(Code::kInvalidArgument, "a command and environment of more than 16 MiB");
  Descriptor file = high(::memfd_create("order", MFD_CLOEXEC));
  std::size_t done = 0;
  while (file.valid() && done < bytes.size()) {
    const ssize_t wrote = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  if (done != bytes.size()) return fail(failure("cannot write an order"));
  explicit_bzero(bytes.data(), bytes.size());
  return file;
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(failure("no pipe"));
  Pipe pipe{Descriptor(ends[0]), high(ends[1])};
  if (!pipe.write.valid() || ::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    return fail(failure("no pipe"));
  return pipe;
}

// posix_spawn does not copy the daemon's page tables, however large it is.
Result<pid_t> spawn_keeper(const std::string& program, const std::string& name,
                           const std::vector<int>& descriptors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    posix_spawn_file_actions_adddup2(&actions, descriptors[i],
                                     kControlDescriptor + static_cast<int>(i));
  posix_spawn_file_actions_addclosefrom_np(
      &actions, kControlDescriptor + static_cast<int>(descriptors.size()));
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  std::string word = "overwinter-keeper";
  std::string label = name;
  char* argv[] = {word.data(), label.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int number = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (number != 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot run {}: {}", program, std::strerror(number)));
  return pid;
}

}  // namespace

class ProcessTree::Listener {
 public:
  Listener(const TreeOrder& order, TreeObserver& observer, Descriptor control, pid_t keeper)
      : observer_(observer),
        control_(std::move(control)),
        keeper_(keeper),
        uid_(order.confinement.uid),
        memory_(order.memory) {
    end_.processes.resize(order.processes.size());
    end_.limit_bytes = order.memory.limit_bytes;
  }

  void add_stream(std::size_t process, Stream stream, Descriptor pipe, const LogBounds& bounds) {
    streams_.emplace_back(observer_, process, stream, std::move(pipe), bounds);
  }

  void run() {
    bool listening = true;
    while (listening) {
      std::vector<pollfd> wait{{control_.get(), POLLIN, 0}};
      for (const Capture& stream : streams_) wait.push_back({stream.pipe.get(), POLLIN, 0});
      if (::poll(wait.data(), wait.size(), -1) < 0) continue;
      for (std::size_t i = 0; i < streams_.size(); ++i)
        if (wait[i + 1].revents != 0) read_some(streams_[i], kReadsPerTurn);
      if (wait[0].revents != 0) listening = take_report();
    }
    while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (end_.keeper_lost) end_leftovers();
    for (Capture& stream : streams_) {
      // All that wrote is gone; a process that would not go may still hold the pipe.
      read_some(stream, 1 << 20);
      stream.capture.finish();
    }
    end_.told = told_.load();
    observer_.finished(end_);
  }

  void command(const Command& command) {
    told_.store(true);
    while (::send(control_.get(), &command, sizeof command, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  [[nodiscard]] pid_t keeper() const { return keeper_; }

 private:
  struct Capture final : LogSink {
    Capture(TreeObserver& to, std::size_t of, Stream which, Descriptor from,
            const LogBounds& bounds)
        : observer(to), process(of), stream(which), pipe(std::move(from)), capture(bounds, *this) {}
    void line(std::string_view text) override { observer.line(process, stream, text); }
    void dropped(std::uint64_t bytes) override { observer.dropped(process, stream, bytes); }

    TreeObserver& observer;
    const std::size_t process;
    const Stream stream;
    Descriptor pipe;
    LogCapture capture;
  };

  void read_some(Capture& stream, int reads_max) {
    for (int i = 0; i < reads_max && stream.pipe.valid(); ++i) {
      const ssize_t got = ::read(stream.pipe.get(), buffer_.data(), buffer_.size());
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) {
        stream.pipe.reset();
        return;
      }
      stream.capture.feed(steady_now(), {buffer_.data(), static_cast<std::size_t>(got)});
    }
  }

  // False: it was the last.
  bool take_report() {
    Report report;
    const ssize_t got = ::recv(control_.get(), &report, sizeof report, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got != static_cast<ssize_t>(sizeof report)) {
      end_.keeper_lost = end_.refused.ok();
      return false;
    }
    report.text.back() = '\0';
    if (report.kind == Report::Kind::kFinished) {
      end_.peak_bytes = std::max(end_.peak_bytes, report.peak_bytes);
      end_.left = report.number;
      return false;
    }
    if (report.kind == Report::Kind::kMemory) {
      observer_.memory(report.number, report.peak_bytes);
    } else if (report.kind == Report::Kind::kOverLimit) {
      end_.over_limit = true;
      end_.peak_bytes = report.peak_bytes;
    } else if (report.kind == Report::Kind::kRefused) {
      end_.refused = error(static_cast<Code>(report.code), report.text.data());
      if (report.process != kNoProcess) end_.refused_process = report.process;
    } else if (report.process < end_.processes.size()) {
      note(report, end_.processes[report.process]);
    }
    return true;
  }

  void note(const Report& report, ProcessEnd& process) {
    if (report.kind == Report::Kind::kStarted) {
      process.started = true;
      observer_.started(report.process, static_cast<pid_t>(report.number));
      return;
    }
    if (report.signal != 0)
      process.signal = report.signal;
    else
      process.exit_code = report.code;
    observer_.ended(report.process, process);
  }

  // What the keeper would have done. Its own children have ended with it; under the daemon's own
  // uid and without a group, what had forked away from them cannot be found any more.
  void end_leftovers() {
    const auto until = std::chrono::steady_clock::now() + kEndPatience;
    while (true) {
      const bool groups = end_groups(memory_.support, memory_.name);
      if (uid_) kill_uid(*uid_);
      const std::size_t left = uid_ ? processes_of_uid(*uid_).size() : 0;
      if (groups && left == 0) return;
      if (std::chrono::steady_clock::now() >= until) {
        end_.left = std::max<std::uint64_t>(left, 1);
        return;
      }
      ::poll(nullptr, 0, 5);
    }
  }

  TreeObserver& observer_;
  const Descriptor control_;
  const pid_t keeper_;
  const std::optional<uid_t> uid_;
  const MemoryOrder memory_;
  std::deque<Capture> streams_;
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
  TreeEnd end_;
  std::atomic<bool> told_{false};
};

std::string default_keeper_program() {
  std::error_code code;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", code);
  return (self.parent_path() / "overwinter-keeper").string();
}

ProcessTree::ProcessTree(std::unique_ptr<Listener> listener)
    : listener_(std::move(listener)), thread_([this] { listener_->run(); }) {}

ProcessTree::~ProcessTree() {
  kill();
}

Result<std::unique_ptr<ProcessTree>> ProcessTree::start(const TreeOrder& order,
                                                        TreeObserver& observer,
                                                        const std::string& keeper_program,
                                                        const LogBounds& bounds) {
  if (order.processes.empty() || order.processes.size() > kProcessesMax)
    return fail(Code::kInvalidArgument, fmt::format("a tree of {} processes; 1 to {} can be",
                                                    order.processes.size(), kProcessesMax));
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    return fail(failure("no socket pair"));
  Descriptor ours(sockets[0]);
  const Descriptor theirs = high(sockets[1]);
  Result<Descriptor> file = order_file(order);
  if (!file) return fail(std::move(file.error()));
  std::vector<int> descriptors{theirs.get(), file->get()};
  std::vector<Pipe> pipes;
  for (std::size_t i = 0; i < 2 * order.processes.size(); ++i) {
    Result<Pipe> pipe = make_pipe();
    if (!pipe) return fail(std::move(pipe.error()));
    descriptors.push_back(pipe->write.get());
    pipes.push_back(std::move(*pipe));
  }
  const Result<pid_t> keeper = spawn_keeper(keeper_program, order.memory.name, descriptors);
  if (!keeper) return fail(keeper.error());
  auto listener = std::make_unique<Listener>(order, observer, std::move(ours), *keeper);
  for (std::size_t i = 0; i < pipes.size(); ++i)
    listener->add_stream(i / 2, static_cast<Stream>(i % 2), std::move(pipes[i].read), bounds);
  pipes.clear();  // our write ends: a stream ends when the tree does
  return std::unique_ptr<ProcessTree>(new ProcessTree(std::move(listener)));
}

void ProcessTree::stop(int signal, milliseconds grace) {
  listener_->command({Command::Kind::kStop, signal, grace.count()});
}

void ProcessTree::kill() {
  listener_->command({Command::Kind::kKill, 0, 0});
}

pid_t ProcessTree::keeper() const {
  return listener_->keeper();
}

}  // namespace overwinter::worker::exec
