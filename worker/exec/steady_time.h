// What lines, memory and checkpoints of a program are timed by: the machine's steady clock in
// milliseconds. Only differences mean something.
#pragma once

#include <chrono>

namespace overwinter::worker::exec {

[[nodiscard]] inline std::chrono::milliseconds steady_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace overwinter::worker::exec
