// What every command is given: how to print, and how to reach the coordinator.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "client/cli/output.h"
#include "client/sdk/client.h"
#include "common/base/time.h"

namespace overwinter::cli {

struct Globals {
  OutputOptions output;
  std::string context;              // --context; empty: the current one
  std::optional<Duration> timeout;  // --timeout: of the whole command

  // Of the chosen context.
  [[nodiscard]] Result<client::Credentials> credentials() const;
  // The client of the chosen context. Each call waits at most as long as --timeout, else 15 s.
  [[nodiscard]] Result<std::unique_ptr<client::Client>> connect() const;
};

// Set by the first Ctrl-C; a second one ends the process. install_interrupt() is called once, by
// main.
[[nodiscard]] bool interrupted();
void install_interrupt();
// From here on SIGTERM and the end of the terminal count as Ctrl-C: for a command that leaves
// something to be put away.
void interrupt_on_termination();

// True when --timeout has passed since the command began.
[[nodiscard]] bool timed_out(const Globals& globals);

}  // namespace overwinter::cli
