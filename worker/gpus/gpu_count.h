// How much of a GPU a tree of processes uses, from what the driver tells. Pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "worker/gpus/gpus.h"

namespace overwinter::worker::gpus {

enum class CountedBy : std::uint8_t {
  kProcesses = 1,  // what the driver lists for its processes
  kDevice = 2,     // what the whole device uses more than at the attempt's start
};

struct GpuCount {
  std::uint64_t bytes = 0;
  CountedBy by = CountedBy::kProcesses;
};

// `tree`: its processes; `at_start`: the device's use when the attempt began; `own_numbers`: the
// driver's process numbers are those that this process sees (numbers_are_ours()). Where they are,
// a process that is not listed uses nothing, and use of others is not the tree's. Else, and where
// the driver lists a process of the tree without its size, the device's own number counts.
[[nodiscard]] GpuCount count_use(const GpuUse& use, const std::vector<pid_t>& tree,
                                 std::uint64_t at_start, bool own_numbers);

// Whether this process lives in the machine's first pid namespace, whose numbers drivers tell.
[[nodiscard]] bool numbers_are_ours();

}  // namespace overwinter::worker::gpus
