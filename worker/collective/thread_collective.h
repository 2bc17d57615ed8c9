// Ranks that are threads of one process: each holds one end of a group. For several devices of one
// process, and for tests of what runs on any collective.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "worker/collective/collective.h"

namespace overwinter::worker {

// Sums in the order of ranks. A rank whose end is destroyed while others wait for it, or whose call
// differs from theirs in kind or size, makes every waiting and later call of the group fail with
// ABORTED: nobody waits for ever.
class ThreadGroup {
 public:
  explicit ThreadGroup(std::size_t ranks);  // at least 1
  // The end of `rank`, once each; used by one thread at a time. It may outlive the group.
  [[nodiscard]] std::unique_ptr<Collective> end_of(std::size_t rank);

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace overwinter::worker
