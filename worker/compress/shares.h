// How the threads of a device divide the values or rows of a tensor. Internal to the room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/kernels/thread_team.h"

namespace overwinter::worker {

// Values that are read, looked at and written at once: 16 KiB of fp32, in the first cache.
inline constexpr std::size_t kChunk = 4096;
// Shares are whole lines of memory of every type of numbers.
inline constexpr std::size_t kShareStep = 64;
// Below so many values another thread costs more than it brings.
inline constexpr std::size_t kShareMin = 32'768;

// Calls work(thread, begin, end) for shares of [0, count) that begin at multiples of `step`, each
// on a thread of its own; at most one a thread, none that is empty. `weight`: values that one of
// `count` stands for.
template <class Work>
void for_each_share(ThreadTeam& team, std::size_t count, std::size_t step, const Work& work,
                    std::size_t weight = 1) {
  if (count == 0) return;
  const std::size_t steps = (count + step - 1) / step;
  const std::size_t worth =
      count / std::max<std::size_t>(1, kShareMin / std::max<std::size_t>(weight, 1));
  const std::size_t parts =
      std::clamp<std::size_t>(worth, 1, std::min<std::size_t>(team.size(), steps));
  const auto one = [&](std::uint32_t thread) {
    if (thread >= parts) return;
    const std::size_t begin = std::min(count, thread * steps / parts * step);
    const std::size_t end = std::min(count, (thread + 1) * steps / parts * step);
    if (begin < end) work(thread, begin, end);
  };
  if (parts == 1) {
    one(0);
  } else {
    team.run(one);
  }
}

}  // namespace overwinter::worker
