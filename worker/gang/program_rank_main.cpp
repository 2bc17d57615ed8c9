// overwinter-program-rank: one rank of a gang that runs a program of the user's. Started by Open
// MPI, unprivileged.
#include <unistd.h>

#include "common/base/log.h"
#include "worker/gang/program_rank.h"
#include "worker/gang/rank_start.h"

int main() {
  using namespace overwinter;
  constexpr int kNoDaemon = 3;
  constexpr Duration kLifeEvery{1000};
  auto channel = worker::rank_channel();
  if (!channel) {
    log_error("overwinter-program-rank: {}", channel.error().message);
    return kNoDaemon;
  }
  // Without a daemon nobody limits or bills this rank: it ends, and its keeper ends the program.
  worker::SocketRankPort port(std::move(*channel), kLifeEvery,
                              [](const Status&) { ::_exit(kNoDaemon); });
  if (!port.hello(worker::rank_hello()).ok()) return kNoDaemon;
  return worker::run_program_rank(port);
}
