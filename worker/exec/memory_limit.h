// The limit on the memory of a job's whole tree of processes, by what this machine has (FACTS §6):
//
//   cgroup v2   memory.max, no swap, memory.oom.group: the kernel ends the tree as one
//   cgroup v1   memory.limit_in_bytes: the kernel ends one process and tells; we end the rest
//   watchdog    nobody lets us make a group: sizes are read from /proc every few milliseconds
//
// Beside it, where some v2 hierarchy lets us make groups, even one without a memory controller: a
// group to end the tree by (cgroup.kill).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {

enum class MemoryKind : std::uint8_t { kCgroup2 = 1, kCgroup1 = 2, kWatchdog = 3 };

// What this machine has. Folders are those in which groups may be made; empty: none.
struct MemorySupport {
  MemoryKind kind = MemoryKind::kWatchdog;
  std::string memory_folder;
  std::string kill_folder;
  std::string why;  // of a watchdog: why no cgroup

  // "cgroup v2", "cgroup v1", "watchdog (…)": what `workers get` shows.
  [[nodiscard]] std::string describe() const;
};

// What detecting does to the machine, so that tests bring a tree of their own.
class CgroupAccess {
 public:
  virtual ~CgroupAccess() = default;
  [[nodiscard]] virtual std::optional<std::string> read(const std::string& path) = 0;
  // Makes a group in `folder`, looks whether the kernel put `file` into it, and removes it.
  [[nodiscard]] virtual bool can_make_group(const std::string& folder, const std::string& file) = 0;
  // For a group that was given to us alone (systemd's Delegate=yes): moves this process into a leaf
  // of it and hands the memory controller down. Groups with processes in them cannot do both.
  [[nodiscard]] virtual bool move_into_leaf(const std::string& folder) = 0;
};
// The machine's own.
[[nodiscard]] CgroupAccess& system_cgroups();

// Reads /proc/self/cgroup and /proc/self/mountinfo and tries, v2 first. Once, at the start of a
// daemon: it may move this process into a leaf group.
[[nodiscard]] MemorySupport detect_memory_support(CgroupAccess& access = system_cgroups());

// Where a hierarchy is mounted and where in it this process is.
struct CgroupPlace {
  std::string mount;  // folder
  std::string own;    // folder of this process's group, below or at `mount`
};
// `controller`: "memory" of v1; empty: v2. Nothing: not mounted, or this process lies outside of
// what is mounted (a container).
[[nodiscard]] std::optional<CgroupPlace> find_cgroup(std::string_view self_cgroup,
                                                     std::string_view mountinfo,
                                                     std::string_view controller);

// What one tree is held to.
struct MemoryOrder {
  MemorySupport support;
  std::uint64_t limit_bytes = 0;  // 0: none
  std::string name;               // of its groups; [a-z0-9-]
};

// The groups of one tree: made here, removed by remove() or the destructor. One thread.
class MemoryGroups {
 public:
  // Makes the groups and sets the limit. With a watchdog there may be no group at all.
  [[nodiscard]] static Result<MemoryGroups> make(const MemoryOrder& order);
  MemoryGroups(MemoryGroups&& other) noexcept = default;
  MemoryGroups& operator=(MemoryGroups&& other) noexcept = default;
  ~MemoryGroups();

  // The calling process enters the groups. errno on failure, else 0.
  [[nodiscard]] int join() const;
  // v1: readable when the kernel has met the limit; -1 elsewhere.
  [[nodiscard]] int event() const { return event_.get(); }
  // The kernel ended something in there for its memory.
  [[nodiscard]] bool over_limit() const;
  // What is used now; nothing where no group counts it.
  [[nodiscard]] std::optional<std::uint64_t> used_bytes() const;
  // The most that was used; nothing where the kernel does not keep it (watchdog, v2 before 5.19).
  [[nodiscard]] std::optional<std::uint64_t> peak_bytes() const;
  // Ends all that is in there (cgroup.kill); false: this machine cannot.
  [[nodiscard]] bool kill_all() const;
  void remove();

 private:
  MemoryGroups() = default;
  MemoryKind kind_ = MemoryKind::kWatchdog;
  std::string memory_group_;
  std::string kill_group_;  // the same as memory_group_ on v2
  Descriptor event_;
};

// Ends what is in a tree's groups and removes them, for one whose keeper is gone. True: none is
// left (a process takes a moment to go: call again).
[[nodiscard]] bool end_groups(const MemorySupport& support, std::string_view name);
// The same for all groups whose names begin so: at the start of a daemon those of its earlier runs.
// The prefix must be of that daemon alone; others of the machine keep theirs beside them.
[[nodiscard]] bool sweep_groups(const MemorySupport& support, std::string_view prefix);

}  // namespace overwinter::worker::exec
