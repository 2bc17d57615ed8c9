// overwinter-rank: one rank of a gang. Started by Open MPI, unprivileged, with nothing but the path
// of its daemon's socket (OVERWINTER_GANG_SOCKET).
#include <unistd.h>

#include <string>

#include "common/base/log.h"
#include "worker/gang/mpi_collective.h"
#include "worker/gang/rank_port.h"
#include "worker/gang/rank_start.h"
#include "worker/gang/rank_task.h"

namespace overwinter::worker {
namespace {

constexpr Duration kLifeEvery{1000};
constexpr Duration kTaskWithin{60'000};
constexpr Duration kLastWordWithin{2000};

// Exit codes beside 0: the daemon has the sentence, or sees by these that there is none.
enum Exit : int { kTaskFailed = 1, kNoDaemon = 3, kNoMpi = 4 };

Status run_task(SocketRankPort& port) {
  auto collective = MpiCollective::make();
  if (!collective) return collective.error();
  const Status met = (*collective)->meet_all([&port](std::size_t rank) {
    v1::RankProgress progress;
    progress.set_phase("waits for rank " + std::to_string(rank));
    port.progress(progress);
  });
  if (!met.ok()) return met;
  if (Status given = port.fetch_task(kTaskWithin); !given.ok()) return given;
  auto task = make_rank_task(port.task());
  if (!task) return task.error();
  return (*task)->run(**collective, port);
}

v1::RankEnded last_word(const Status& status, std::uint64_t step) {
  v1::RankEnded ended;
  ended.set_ok(status.ok());
  ended.set_code(static_cast<std::uint32_t>(status.code));
  ended.set_message(status.message);
  ended.set_tensor(status.field);
  ended.set_step(step);
  ended.set_steps_done(step);
  return ended;
}

int rank_main() {
  auto channel = rank_channel();
  if (!channel) {
    log_error("overwinter-rank: {}", channel.error().message);
    return kNoDaemon;
  }
  // Without a daemon nobody limits or bills this rank: it ends, and Open MPI ends the others.
  SocketRankPort port(std::move(*channel), kLifeEvery, [](const Status&) { ::_exit(kNoDaemon); });
  const v1::RankHello hello = rank_hello();
  if (!port.hello(hello).ok()) return kNoDaemon;

  int level = 0;
  v1::RankProgress starts;
  starts.set_phase("starts Open MPI");
  port.progress(starts);
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS) return kNoMpi;
  const Status status = run_task(port);
  port.end(last_word(status, port.last_step()), kLastWordWithin);
  if (!status.ok()) {
    log_error("rank {}: {}", hello.rank(), status.message);
    MPI_Abort(MPI_COMM_WORLD, kTaskFailed);
    return kTaskFailed;
  }
  MPI_Finalize();
  return 0;
}

}  // namespace
}  // namespace overwinter::worker

int main() {
  return overwinter::worker::rank_main();
}
