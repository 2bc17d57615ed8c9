#include "common/plan/comm_volume.h"

#include <algorithm>

namespace overwinter::plan {

CommVolume matmul_comm_volume(const MatmulGeometry& g, std::uint32_t seats) {
  CommVolume volume;
  const TileGrid grid = g.grid();
  if (grid.units() == 0) return volume;
  const auto size = static_cast<double>(factor_bytes(g.precision));
  const auto m = static_cast<double>(g.m);
  const auto k = static_cast<double>(g.k);
  const auto n = static_cast<double>(g.n);
  const auto rows = static_cast<double>(grid.grid_rows());
  const auto columns = static_cast<double>(grid.grid_columns());
  volume.bytes_from_workers = m * n * static_cast<double>(result_bytes(g.precision));
  if (!g.whole_panels()) {
    volume.bytes_to_workers = (columns * m * k + rows * k * n) * size;
    return volume;
  }
  const std::uint64_t group = std::min(g.group_rows, grid.grid_rows());
  const auto groups = static_cast<double>((grid.grid_rows() + group - 1) / group);
  const double readers = std::min(static_cast<double>(std::max<std::uint32_t>(seats, 1)), columns);
  volume.bytes_to_workers = (readers * m * k + groups * k * n) * size;
  return volume;
}

}  // namespace overwinter::plan
