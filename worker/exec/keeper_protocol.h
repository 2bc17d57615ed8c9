// What a daemon and the keeper of one tree say to each other: the order (once, in a memory file,
// for it holds secrets), commands down and reports up (one packet each over a socket pair). Both
// ends are of one build, so these are plain structs. Descriptors of the keeper:
//   3 the socket, 4 the order, then of process i: 5 + 2i its output, 6 + 2i its errors.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/confinement.h"
#include "worker/exec/memory_limit.h"
#include "worker/exec/mounts.h"

namespace overwinter::worker::exec {

inline constexpr int kControlDescriptor = 3;
inline constexpr int kOrderDescriptor = 4;
inline constexpr int kFirstOutputDescriptor = 5;
inline constexpr std::size_t kProcessesMax = 64;
inline constexpr std::size_t kOrderBytesMax = std::size_t{16} << 20;

struct ProcessOrder {
  std::vector<std::string> argv;  // the first is looked up in the environment's PATH
  // All of it: nothing of the daemon's own is passed on.
  std::map<std::string, std::string> environment;
  friend bool operator==(const ProcessOrder&, const ProcessOrder&) = default;
};

// One attempt of a job on one machine.
struct TreeOrder {
  std::vector<ProcessOrder> processes;  // 1 to kProcessesMax
  std::string folder;                   // each begins in it
  Confinement confinement;
  MemoryOrder memory;
  std::vector<Mount> mounts;  // those to be bound (mount_view.h); others are passed over
};

// Of both: nothing is trusted to be in bounds, though only the daemon writes it.
[[nodiscard]] std::string encode_order(const TreeOrder& order);
[[nodiscard]] Result<TreeOrder> decode_order(std::string_view bytes);

struct Command {
  enum class Kind : std::uint32_t { kStop = 1, kKill = 2 };
  Kind kind = Kind::kKill;
  std::int32_t signal = 0;    // kStop: to every process group that was started
  std::int64_t grace_ms = 0;  // kStop: after it everything is killed
};

struct Report {
  enum class Kind : std::uint32_t {
    kStarted = 1,    // process `process` runs the program; `number` is its pid
    kEnded = 2,      // process `process`: code, or the signal that ended it
    kOverLimit = 3,  // the tree is being ended for its memory
    kFinished = 4,   // nothing is left; `number` processes when some would not go
    kRefused =
        5,  // could not be started, `text` says why; process is kNoProcess when it is about all
    kMemory = 6,  // `number` bytes are held now; about once a second, when that changed
  };
  Kind kind = Kind::kFinished;
  std::uint32_t process = 0;
  std::int32_t code = -1;
  std::int32_t signal = 0;
  std::uint64_t number = 0;
  std::uint64_t peak_bytes = 0;  // kOverLimit, kFinished, kMemory; 0: not known
  std::array<char, 256> text{};
};
inline constexpr std::uint32_t kNoProcess = 0xffffffff;

}  // namespace overwinter::worker::exec
