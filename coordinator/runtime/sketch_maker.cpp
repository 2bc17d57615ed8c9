#include "coordinator/runtime/sketch_maker.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/base/narrow.h"
#include "common/security/random.h"
#include "common/verify/tile_check.h"
#include "coordinator/artifacts/block_reader.h"

namespace overwinter::runtime {
namespace {

constexpr std::uint64_t kBandBytes = 8 * kMiB;

// How each precision is checked. Stored: of the factors; Result: of C; Checked: what both become.
template <class StoredT, class ResultT, class CheckedT>
struct CheckedAs {
  using Stored = StoredT;
  using Result = ResultT;
  using Checked = CheckedT;
};
struct Fp32 : CheckedAs<float, float, float> {};
struct Fp64 : CheckedAs<double, double, double> {};
struct Int8 : CheckedAs<std::int8_t, std::int32_t, double> {};
// Rounded as the worker does it.
struct Bf16 : CheckedAs<float, float, float> {
  static float factor(float x) { return to_float(without_subnormal(to_bfloat16(x))); }
};
struct Fp16 : CheckedAs<float, float, float> {
  static float factor(float x) { return to_float(to_float16(x)); }
};

template <class K>
inline constexpr bool kAsStored = std::is_same_v<K, Fp32> || std::is_same_v<K, Fp64>;

// Factors as they are stored, in `raw`, become factors as they are checked.
template <class K>
void to_checked(std::span<const typename K::Stored> raw, std::span<typename K::Checked> out) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if constexpr (std::is_same_v<K, Int8>) {
      out[i] = raw[i];
    } else {
      out[i] = K::factor(raw[i]);
    }
  }
}

// Reads with `read(bytes)` what `out` is to hold.
template <class K, class Read>
Status read_factors(std::span<typename K::Checked> out, Read&& read) {
  if constexpr (kAsStored<K>) {
    return read(std::as_writable_bytes(out));
  } else {
    std::vector<typename K::Stored> raw(out.size());
    if (Status status = read(std::as_writable_bytes(std::span(raw))); !status.ok()) return status;
    to_checked<K>(raw, out);
    return Status::success();
  }
}

// Feeds `rows` whole rows of a matrix from the top to `take`, some at a time.
template <class K, class Take>
Status feed(const artifacts::MatrixBlob& matrix, Take&& take) {
  using T = typename K::Checked;
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
    Status status = read_factors<K>(part, [&](std::span<std::byte> bytes) {
      while (!bytes.empty()) {
        const auto got = reader->next(bytes);
        if (!got) return got.error();
        bytes = bytes.subspan(*got);
      }
      return Status::success();
    });
    if (!status.ok()) return status;
    take(std::span<const T>(part));
  }
  return Status::success();
}

template <class K>
Result<std::shared_ptr<const verify::FreivaldsSketch>> make(const plan::MatmulGeometry& geometry,
                                                            const Factors& factors) {
  using T = typename K::Checked;
  verify::SketchSeed seed{};
  fill_random({reinterpret_cast<std::uint8_t*>(seed.data()), sizeof(seed)});
  verify::SketchBuilder builder(geometry, seed);
  std::vector<T> row(geometry.k);
  for (const std::uint64_t number : builder.calibration_rows()) {
    Status status = read_factors<K>(std::span<T>(row), [&](std::span<std::byte> bytes) {
      return artifacts::read_block(factors.a.file, factors.a.header,
                                   {number, number + 1, 0, geometry.k}, bytes);
    });
    if (!status.ok()) return fail(std::move(status));
    builder.set_calibration_row<T>(number, row);
  }
  do {
    if (Status status = feed<K>(factors.b, [&](std::span<const T> b) { builder.add_b_rows<T>(b); });
        !status.ok()) {
      return fail(std::move(status));
    }
  } while (!builder.finish_b());
  if (Status status = feed<K>(factors.a, [&](std::span<const T> a) { builder.add_a_rows<T>(a); });
      !status.ok()) {
    return fail(std::move(status));
  }
  return std::make_shared<const verify::FreivaldsSketch>(std::move(builder).finish());
}

template <class K>
auto reader_of(const artifacts::MatrixBlob& matrix) {
  return [&matrix](std::uint64_t row_begin, std::uint64_t row_end, std::uint64_t column_begin,
                   std::uint64_t column_end, std::span<typename K::Checked> out) {
    return read_factors<K>(out, [&](std::span<std::byte> bytes) {
      return artifacts::read_block(matrix.file, matrix.header,
                                   {row_begin, row_end, column_begin, column_end}, bytes);
    });
  };
}

template <class K>
Result<artifacts::TileVerdict> check(const verify::FreivaldsSketch& sketch, const Factors& factors,
                                     const plan::Tile& tile, std::span<const std::byte> data) {
  using T = typename K::Checked;
  if (data.size() != tile.elements() * sizeof(typename K::Result)) {
    return fail(Code::kInvalidArgument, "the tile has not the size of its unit");
  }
  // The sink's memory comes from new[], which is aligned for every element type.
  const std::span c(reinterpret_cast<const typename K::Result*>(data.data()), tile.elements());
  const verify::FactorSource<T> source{reader_of<K>(factors.a), reader_of<K>(factors.b)};
  std::vector<T> widened;
  std::span<const T> checked;
  if constexpr (std::is_same_v<typename K::Result, T>) {
    checked = c;
  } else {
    widened.assign(c.begin(), c.end());  // 64 MiB at most: plan::tile_bytes_max
    checked = widened;
  }
  auto verdict = verify::check_tile<T>(sketch, tile, checked, source);
  if (!verdict) return fail(verdict.error());
  return artifacts::TileVerdict{verdict->accepted, std::move(verdict->reason)};
}

// Calls then(kind) with the kind of the precision.
template <class Then>
auto with_kind(plan::Precision precision, Then&& then) {
  switch (precision) {
    case plan::Precision::kFp64:
      return then(Fp64());
    case plan::Precision::kBf16:
      return then(Bf16());
    case plan::Precision::kFp16:
      return then(Fp16());
    case plan::Precision::kInt8:
      return then(Int8());
    case plan::Precision::kFp32:
      break;
  }
  return then(Fp32());
}

}  // namespace

Result<std::shared_ptr<const verify::FreivaldsSketch>> make_sketch(
    const plan::MatmulGeometry& geometry, const Factors& factors) {
  return with_kind(geometry.precision, [&]<class K>(K) { return make<K>(geometry, factors); });
}

Result<artifacts::TileVerdict> check_tile(const verify::FreivaldsSketch& sketch,
                                          const Factors& factors, const plan::Tile& tile,
                                          std::span<const std::byte> data) {
  return with_kind(sketch.geometry().precision,
                   [&]<class K>(K) { return check<K>(sketch, factors, tile, data); });
}

}  // namespace overwinter::runtime
