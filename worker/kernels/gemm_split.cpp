#include "worker/kernels/gemm_split.h"

#include <limits>

namespace overwinter::worker {

GemmSplit split_of(std::size_t m, std::size_t n, std::size_t threads) {
  GemmSplit best;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t rows = 1; rows <= threads; ++rows) {
    if (threads % rows != 0) continue;
    const std::size_t columns = threads / rows;
    if ((rows > 1 && m / rows < 32) || (columns > 1 && n / columns < 32)) continue;
    const double reads = static_cast<double>(m) / static_cast<double>(rows) +
                         static_cast<double>(n) / static_cast<double>(columns);
    if (reads < least) {
      least = reads;
      best = {rows, columns};
    }
  }
  return best;
}

GemmShare share_of(std::size_t all, std::size_t parts, std::size_t index) {
  const std::size_t even = (all + parts - 1) / parts;
  const std::size_t size = parts == 1 ? all : (even + 15) / 16 * 16;
  const std::size_t begin = std::min(all, index * size);
  return {begin, std::min(all, begin + size)};
}

}  // namespace overwinter::worker
