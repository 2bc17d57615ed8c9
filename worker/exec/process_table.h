// Processes as /proc shows them. A snapshot: what it names may be gone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace overwinter::worker::exec {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';  // R S D T Z …
  [[nodiscard]] bool dead() const { return state == 'Z' || state == 'X'; }
};

[[nodiscard]] std::vector<ProcessEntry> all_processes();
// Those below `root`, parents before their children; not `root` itself, no dead ones.
[[nodiscard]] std::vector<pid_t> descendants_of(pid_t root, const std::vector<ProcessEntry>& all);
[[nodiscard]] std::vector<pid_t> descendants_of(pid_t root);
// The same by the kernel's own lists of children, which cost what the tree is large and not what
// the machine is; falls back to the table where the kernel keeps none.
[[nodiscard]] std::vector<pid_t> tree_of(pid_t root);
// Live processes with this real uid.
[[nodiscard]] std::vector<pid_t> processes_of_uid(uid_t uid);

// Memory of one process in bytes; nothing when it is gone or may not be read.
[[nodiscard]] std::optional<std::uint64_t> resident_bytes(pid_t pid);  // statm: 5 µs
[[nodiscard]] std::optional<std::uint64_t> unshared_bytes(pid_t pid);  // status: anonymous + shmem
[[nodiscard]] std::optional<std::uint64_t> proportional_bytes(
    pid_t pid);  // smaps_rollup: 10 ms/GiB

}  // namespace overwinter::worker::exec
