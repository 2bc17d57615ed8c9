// The daemon's side of one attempt's processes on this machine: started through a keeper, listened
// to, told to stop, ended. When it has finished nothing of it is left.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/descriptor.h"
#include "worker/exec/keeper_protocol.h"
#include "worker/exec/log_capture.h"

namespace overwinter::worker::exec {

enum class Stream : std::uint8_t { kOutput = 0, kErrors = 1 };

struct ProcessEnd {
  bool started = false;
  std::optional<int> exit_code;
  int signal = 0;  // that ended it; 0: none
  [[nodiscard]] bool succeeded() const { return exit_code == 0; }
};

// How a tree ended. The first of these that holds is the reason:
//   refused        something could not be started: `refused` says what (NOT_FOUND: no such program)
//   over_limit     ended for its memory: limit_bytes allowed, peak_bytes reached
//   told           stop() or kill() had been called before the end
//   keeper_lost    the keeper was ended by somebody else; the tree has been ended by other means
//   none of them   the processes ended by themselves
struct TreeEnd {
  std::vector<ProcessEnd> processes;
  Status refused;
  std::optional<std::uint32_t> refused_process;
  bool over_limit = false;
  bool told = false;
  bool keeper_lost = false;
  std::uint64_t limit_bytes = 0;
  std::uint64_t peak_bytes = 0;  // 0: not known
  std::uint64_t left = 0;        // processes that SIGKILL did not end within 20 s (a dead disk)
};

// Called on the tree's own thread, one at a time; none may block. finished() is the last call.
class TreeObserver {
 public:
  virtual ~TreeObserver() = default;
  virtual void started(std::size_t process, pid_t pid) = 0;
  virtual void ended(std::size_t process, const ProcessEnd& end) = 0;
  virtual void line(std::size_t process, Stream stream, std::string_view text) = 0;
  virtual void dropped(std::size_t process, Stream stream, std::uint64_t bytes) = 0;
  // What all of it holds now, about once a second, and held at most (0: not known).
  virtual void memory(std::uint64_t /*used_bytes*/, std::uint64_t /*peak_bytes*/) {}
  virtual void finished(const TreeEnd& end) = 0;
};

// overwinter-keeper beside the running program.
[[nodiscard]] std::string default_keeper_program();

// Thread-safe but for the destructor, which kills and waits.
class ProcessTree {
 public:
  // Returns as soon as the keeper runs; what happens to the order comes to the observer, which must
  // outlive the tree.
  [[nodiscard]] static Result<std::unique_ptr<ProcessTree>> start(
      const TreeOrder& order, TreeObserver& observer,
      const std::string& keeper_program = default_keeper_program(), const LogBounds& bounds = {});
  ~ProcessTree();
  ProcessTree(const ProcessTree&) = delete;
  ProcessTree& operator=(const ProcessTree&) = delete;

  // The signal to every process that was started and its group; what is left after `grace` is
  // killed. Again with another grace: the last one counts.
  void stop(int signal, std::chrono::milliseconds grace);
  void kill();

  [[nodiscard]] pid_t keeper() const;

 private:
  class Listener;
  explicit ProcessTree(std::unique_ptr<Listener> listener);

  std::unique_ptr<Listener> listener_;
  std::jthread thread_;
};

}  // namespace overwinter::worker::exec
