// File descriptors of this process: each connection and open file is one, and who has none left
// takes nobody in.
#pragma once

#include <cstdint>

namespace overwinter {

struct Descriptors {
  std::uint64_t open = 0;
  std::uint64_t limit = 0;  // that may be open at once (RLIMIT_NOFILE, soft)
};
// Counts /proc/self/fd. Zeros where nothing is known; where none is left to count with, all are
// open. Any thread.
[[nodiscard]] Descriptors descriptors_of_process();

}  // namespace overwinter
