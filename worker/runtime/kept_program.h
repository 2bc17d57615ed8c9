// KeptProgram: a program and everything that it starts, under a keeper (worker/gang/keeper.h) that
// ends all of it when this object, or this process, is gone.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::worker {

struct KeptCommand {
  std::filesystem::path keeper;  // overwinter-launch-agent
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<std::string> command;      // an absolute path and its arguments
  std::vector<std::string> environment;  // NAME=VALUE; all of it
};

// A packet of the keeper (keeper.h).
struct KeeperWord {
  enum class Kind { kStarted, kFailed, kReaped, kEnded, kGone };
  Kind kind = Kind::kGone;
  pid_t pid = 0;   // kStarted, kReaped
  int number = 0;  // kFailed: errno. kReaped, kEnded: a wait status
};
// Nothing for what is none.
[[nodiscard]] Result<KeeperWord> parse_keeper_word(std::string_view packet);

// "exit code 3", "signal 9 (Killed)".
[[nodiscard]] std::string describe_wait_status(int status);

// One thread at a time.
class KeptProgram {
 public:
  [[nodiscard]] static Result<KeptProgram> start(const KeptCommand& command);
  KeptProgram(KeptProgram&& other) noexcept
      : keeper_(std::exchange(other.keeper_, -1)),
        socket_(std::exchange(other.socket_, -1)),
        output_(std::exchange(other.output_, -1)) {}
  KeptProgram& operator=(KeptProgram&&) = delete;
  ~KeptProgram();  // ends everything and waits for it

  // For poll(). Both end: reads give what is left and then kGone or an empty end.
  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] int output() const { return output_; }  // standard output and error, together
  // What the keeper said since; kGone also when the keeper itself is gone.
  [[nodiscard]] std::vector<KeeperWord> words();
  // What was written since; false at its end.
  bool read_output(std::string& into);
  void terminate() const;
  void kill() const;
  [[nodiscard]] pid_t keeper_pid() const { return keeper_; }

 private:
  KeptProgram(pid_t keeper, int socket, int output)
      : keeper_(keeper), socket_(socket), output_(output) {}

  pid_t keeper_;
  int socket_;
  int output_;
};

// Whether `pid` is `ancestor` or descends from it, as /proc says now.
[[nodiscard]] bool descends_from(pid_t pid, pid_t ancestor);

}  // namespace overwinter::worker
