#include "coordinator/runtime/sketch_maker.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "common/security/random.h"
#include "common/verify/tile_check.h"
#include "coordinator/artifacts/block_reader.h"

namespace overwinter::runtime {
namespace {

constexpr std::uint64_t kBandBytes = 8 * kMiB;

// Feeds `rows` whole rows of a matrix from the top to `take`, some at a time.
template <class T, class Take>
Status feed(const artifacts::MatrixBlob& matrix, Take&& take) {
  const std::uint64_t columns = matrix.header.columns;
  const std::uint64_t row_bytes = columns * sizeof(T);
  if (matrix.header.rows == 0 || columns == 0) return Status::success();
  const std::uint64_t band =
      std::clamp<std::uint64_t>(kBandBytes / row_bytes, 1, matrix.header.rows);
  std::vector<T> rows(band * columns);
  auto reader =
      artifacts::BlockReader::open(matrix.file, matrix.header, {0, matrix.header.rows, 0, columns});
  if (!reader) return reader.error();
  for (std::uint64_t row = 0; row < matrix.header.rows; row += band) {
    const std::uint64_t count = std::min(band, matrix.header.rows - row);
    const std::span<T> part(rows.data(), count * columns);
    std::span<std::byte> bytes = std::as_writable_bytes(part);
    while (!bytes.empty()) {
      const auto got = reader->next(bytes);
      if (!got) return got.error();
      bytes = bytes.subspan(*got);
    }
    take(std::span<const T>(part));
  }
  return Status::success();
}

template <class T>
Result<std::shared_ptr<const verify::FreivaldsSketch>> make(const plan::MatmulGeometry& geometry,
                                                            const Factors& factors) {
  verify::SketchSeed seed{};
  fill_random({reinterpret_cast<std::uint8_t*>(seed.data()), sizeof(seed)});
  verify::SketchBuilder builder(geometry, seed);
  std::vector<T> row(geometry.k);
  for (const std::uint64_t number : builder.calibration_rows()) {
    if (Status status = artifacts::read_block(factors.a.file, factors.a.header,
                                              {number, number + 1, 0, geometry.k},
                                              std::as_writable_bytes(std::span<T>(row)));
        !status.ok()) {
      return fail(std::move(status));
    }
    builder.set_calibration_row<T>(number, row);
  }
  do {
    if (Status status = feed<T>(factors.b, [&](std::span<const T> b) { builder.add_b_rows<T>(b); });
        !status.ok()) {
      return fail(std::move(status));
    }
  } while (!builder.finish_b());
  if (Status status = feed<T>(factors.a, [&](std::span<const T> a) { builder.add_a_rows<T>(a); });
      !status.ok()) {
    return fail(std::move(status));
  }
  return std::make_shared<const verify::FreivaldsSketch>(std::move(builder).finish());
}

template <class T>
auto reader_of(const artifacts::MatrixBlob& matrix) {
  return [&matrix](std::uint64_t row_begin, std::uint64_t row_end, std::uint64_t column_begin,
                   std::uint64_t column_end, std::span<T> out) {
    return artifacts::read_block(matrix.file, matrix.header,
                                 {row_begin, row_end, column_begin, column_end},
                                 std::as_writable_bytes(out));
  };
}

template <class T>
Result<artifacts::TileVerdict> check(const verify::FreivaldsSketch& sketch, const Factors& factors,
                                     const plan::Tile& tile, std::span<const std::byte> data) {
  if (data.size() != tile.elements() * sizeof(T)) {
    return fail(Code::kInvalidArgument, "the tile has not the size of its unit");
  }
  // The sink's memory comes from new[], which is aligned for every element type.
  const std::span<const T> c(reinterpret_cast<const T*>(data.data()), tile.elements());
  const verify::FactorSource<T> source{reader_of<T>(factors.a), reader_of<T>(factors.b)};
  auto verdict = verify::check_tile<T>(sketch, tile, c, source);
  if (!verdict) return fail(verdict.error());
  return artifacts::TileVerdict{verdict->accepted, std::move(verdict->reason)};
}

}  // namespace

Result<std::shared_ptr<const verify::FreivaldsSketch>> make_sketch(
    const plan::MatmulGeometry& geometry, const Factors& factors) {
  return geometry.precision == plan::Precision::kFp32 ? make<float>(geometry, factors)
                                                      : make<double>(geometry, factors);
}

Result<artifacts::TileVerdict> check_tile(const verify::FreivaldsSketch& sketch,
                                          const Factors& factors, const plan::Tile& tile,
                                          std::span<const std::byte> data) {
  return sketch.geometry().precision == plan::Precision::kFp32
             ? check<float>(sketch, factors, tile, data)
             : check<double>(sketch, factors, tile, data);
}

}  // namespace overwinter::runtime
