// The shape of a job's result, and what its manifest says once it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/formats/npy.h"
#include "common/plan/tile_grid.h"

namespace overwinter::artifacts {

// C of a product, in tiles (common/plan/tile_grid.h). Sizes in elements.
struct ResultSpec {
  formats::Dtype dtype = formats::Dtype::kFloat32;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t tile_rows = 1;
  std::uint64_t tile_columns = 1;
  std::uint64_t group_rows = 1;

  // The next three only for a spec that check_result_spec() passed.
  [[nodiscard]] plan::TileGrid grid() const;
  [[nodiscard]] std::uint64_t tile_bytes(UnitNumber unit) const;
  [[nodiscard]] std::uint64_t data_bytes() const;
  friend bool operator==(const ResultSpec&, const ResultSpec&) = default;
};

// Sizes at least 1 where they must be, dimensions bounded, no product that overflows:
// kInvalidArgument.
[[nodiscard]] Status check_result_spec(const ResultSpec& spec);

struct ResultManifest {
  ResultSpec spec;
  Digest digest;                 // of the .npy file in C order (common/formats/digest.h)
  std::uint64_t size_bytes = 0;  // of that file
  friend bool operator==(const ResultManifest&, const ResultManifest&) = default;
};

// Text form, one "key value" a line with the SHA-256 of the lines before as the last: README.md. A
// damaged text is kDataLoss.
[[nodiscard]] std::string write_result_spec(const ResultSpec& spec);
[[nodiscard]] Result<ResultSpec> read_result_spec(std::string_view text);
[[nodiscard]] std::string write_result_manifest(const ResultManifest& manifest);
[[nodiscard]] Result<ResultManifest> read_result_manifest(std::string_view text);

}  // namespace overwinter::artifacts
