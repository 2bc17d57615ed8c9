// Bytes that a product moves between coordinator and workers, by how panels are reused.
#pragma once

#include <cstdint>

#include "common/plan/matmul_geometry.h"

namespace overwinter::plan {

struct CommVolume {
  double bytes_to_workers = 0;    // panels of A and B, over all seats
  double bytes_from_workers = 0;  // tiles of C, each once
};

// When `seats` seats each take ranges of group_rows units (a column of a group at a time):
//  - whole panels: B is read once a group; A is read once by each seat that works on its group,
//  which are at
//    most as many as the group has columns;
//  - streamed: each unit reads its rows of A and its columns of B.
// A lost worker or a straggler's rest handed out again reads more; that is not predicted.
[[nodiscard]] CommVolume matmul_comm_volume(const MatmulGeometry& geometry, std::uint32_t seats);

}  // namespace overwinter::plan
