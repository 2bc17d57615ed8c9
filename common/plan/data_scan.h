// What the data of a training say of themselves, read from files wherever they lie: shapes, and of
// whole numbers as targets how many classes they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/plan/train_shape.h"

namespace overwinter::plan {

struct ScannedFile {
  std::uint64_t size_bytes = 0;
  // Fills `out` from `offset`.
  std::function<Status(std::uint64_t offset, std::span<std::byte> out)> read_at;
};

// Whole numbers as targets and CSV are read once, in pieces of 1 MiB; larger ones are refused.
inline constexpr std::uint64_t kTableScanBytesMax = 64 * kGiB;

// INVALID_ARGUMENT with the field of the specification when they are not what a worker trains on.
[[nodiscard]] Result<DataFacts> scan_npy(const ScannedFile& x, const ScannedFile& y);
[[nodiscard]] Result<DataFacts> scan_csv(const ScannedFile& file, const std::string& target);

}  // namespace overwinter::plan
