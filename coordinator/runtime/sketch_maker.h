// Makes the Freivalds sketch of a job from its stored factors, and checks tiles by it.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "common/plan/matmul_geometry.h"
#include "common/verify/freivalds.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/artifacts/tile_sink.h"

namespace overwinter::runtime {

struct Factors {
  artifacts::MatrixBlob a;
  artifacts::MatrixBlob b;
};

// Reads A and B once (B twice when it holds values that are not finite). Memory: the sketch and 8
// MiB, half as much again where factors are rounded or widened. Blocks for as long as that takes.
// The seed is 256 bits of the system's random source.
[[nodiscard]] Result<std::shared_ptr<const verify::FreivaldsSketch>> make_sketch(
    const plan::MatmulGeometry& geometry, const Factors& factors);

// The verdict on a tile of C; `data` is dense rows, as plan::result_bytes has it. Memory: for int8
// twice the tile, at most 64 MiB.
[[nodiscard]] Result<artifacts::TileVerdict> check_tile(const verify::FreivaldsSketch& sketch,
                                                        const Factors& factors,
                                                        const plan::Tile& tile,
                                                        std::span<const std::byte> data);

}  // namespace overwinter::runtime
