// What the daemon of one host tells of the gangs that it runs a part of. Plain values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/domain/ids.h"
#include "overwinter/v1/local.pb.h"

namespace overwinter::worker {

// One attempt of a gang.
struct GangKey {
  JobId job;
  AttemptNumber attempt = 0;
  friend auto operator<=>(const GangKey&, const GangKey&) = default;
};

// What ended a gang, the surest evidence first: where two hosts (or two moments) say different
// things, the smaller one is the cause and the other a consequence.
enum class GangFaultKind : std::uint8_t {
  kNone = 0,
  kTaskFailed,      // a rank said so itself: its sentence, step and tensor
  kRankFrozen,      // a rank gives no sign of life
  kStalled,         // all live, none moves
  kNotReady,        // the start deadline
  kUnreachable,     // the daemon of another host, before it started anything
  kLauncherKilled,  // a signal from outside ended mpirun or orted
  kRankKilled,      // Open MPI or the kernel says which rank ended first, and how
  kHostLost,        // another host was there and is gone
  kRankLost,        // a rank of this host is gone; perhaps as a consequence
  kLauncherFailed,  // mpirun or orted ended by itself
  kCannotStart,     // nothing ran
};
struct GangFault {
  GangFaultKind kind = GangFaultKind::kNone;
  std::optional<std::uint32_t> rank;
  std::optional<std::size_t> host;  // of GangOrder::hosts
  WorkerId worker;                  // whose daemon that host's is; of a verdict alone
  std::optional<int> signal;
  std::optional<int> exit_code;
  std::uint64_t step = 0;
  std::string tensor;
  std::string message;  // one sentence, with the numbers
};
[[nodiscard]] inline GangFault make_fault(GangFaultKind kind, std::optional<std::uint32_t> rank,
                                          std::optional<std::size_t> host, std::string message,
                                          std::uint64_t step = 0) {
  GangFault fault;
  fault.kind = kind;
  fault.rank = rank;
  fault.host = host;
  fault.step = step;
  fault.message = std::move(message);
  return fault;
}

struct GangRankReady {
  std::uint32_t rank = 0;
  pid_t pid = 0;
};
struct GangRankProgress {
  std::uint32_t rank = 0;
  v1::RankProgress progress;
};
// Answer with GangLauncher::checkpoint_kept(), once for each. The paths lie in the job's directory
// and were written by a program that is not trusted: open them without following links.
struct GangCheckpoint {
  std::uint32_t rank = 0;
  v1::RankCheckpoint checkpoint;
};
struct GangRankEnded {
  std::uint32_t rank = 0;
  pid_t pid = 0;
  bool clean = false;  // it said that it was done
};
// A line of a rank's output (of the first host: all ranks), or of Open MPI itself (no rank).
struct GangOutput {
  std::optional<std::uint32_t> rank;
  bool error = false;
  std::string text;
};
struct GangHostLost {
  std::size_t host = 0;
  std::string message;
};
// The last of a gang on this host: no process and no file of it is left here.
struct GangEnded {
  GangFault fault;     // kNone: there was none, or it was told to end
  bool clean = false;  // every rank of this host said that it was done
};

using GangEvent = std::variant<GangRankReady, GangRankProgress, GangCheckpoint, GangRankEnded,
                               GangOutput, GangHostLost, GangEnded>;

class GangObserver {
 public:
  virtual ~GangObserver() = default;
  // From the gang's own thread; events of one gang in order. Must not block, and may not call the
  // launcher's start() or destroy it.
  virtual void gang_event(const GangKey& gang, const GangEvent& event) = 0;
};

}  // namespace overwinter::worker
