// Processes that a suite starts. Each is ended by its own number, never by its name.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

struct Finished {
  int exit_code = 0;  // 128 + signal when one ended it
  double seconds = 0;
  std::string output;  // of standard output
};

using Environment = std::map<std::string, std::string>;  // added to this process's own

// Runs to the end; standard error goes to `log` (appended; empty: /dev/null).
[[nodiscard]] Result<Finished> run_program(const std::vector<std::string>& command,
                                           const Environment& environment, const std::string& log);

// A process that runs beside this one until the object goes: SIGTERM, after ten seconds SIGKILL.
class Running {
 public:
  [[nodiscard]] static Result<Running> start(const std::vector<std::string>& command,
                                             const Environment& environment,
                                             const std::string& log);
  Running(Running&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Running& operator=(Running&&) = delete;
  ~Running();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  explicit Running(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// What the kernel says of a process.
struct ProcessUse {
  double cpu_seconds = 0;  // user and system, since its start
  double resident_mib = 0;
};
[[nodiscard]] Result<ProcessUse> process_use(pid_t pid);

}  // namespace overwinter::bench
