// Where blocks of A and B come from and where tiles of C go: ports, implemented over gRPC in
// worker/rpc and in memory by tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>

#include "common/base/result.h"
#include "common/domain/ids.h"
#include "common/plan/matmul_geometry.h"

namespace overwinter::worker {

enum class Operand : std::uint8_t { kA = 0, kB = 1 };

struct Block {
  std::uint64_t row_begin = 0;
  std::uint64_t row_end = 0;
  std::uint64_t column_begin = 0;
  std::uint64_t column_end = 0;
  [[nodiscard]] std::uint64_t rows() const { return row_end - row_begin; }
  [[nodiscard]] std::uint64_t columns() const { return column_end - column_begin; }
  friend bool operator==(const Block&, const Block&) = default;
};

// A whole matrix in this process's address space (a mapped file): read in place, no copies.
struct MappedMatrix {
  const std::byte* data = nullptr;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  bool fortran_order = false;
};

// Thread-safe; calls block.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // The block as dense rows, exactly out.size() bytes. Waits out a coordinator that is away, until
  // `stop`: CANCELLED then. Any other error is final.
  virtual Status read(Operand operand, const Block& block, std::span<std::byte> out,
                      std::stop_token stop) = 0;
  // None: the matrix is only to be had by read().
  [[nodiscard]] virtual const MappedMatrix* mapped(Operand) const { return nullptr; }
};

enum class TileOutcome : std::uint8_t { kLanded = 1, kRepeated = 2, kRejected = 3, kStale = 4 };
struct TileAnswer {
  TileOutcome outcome = TileOutcome::kLanded;
  std::string message;
};

// Thread-safe; calls block.
class TileSink {
 public:
  virtual ~TileSink() = default;
  // Delivers a tile as dense rows and waits until it is durable or refused. Waits out a coordinator
  // that is away, until `stop`: CANCELLED then. Any other error is final.
  [[nodiscard]] virtual Result<TileAnswer> put(UnitNumber unit, std::span<const std::byte> tile,
                                               std::stop_token stop) = 0;
};

}  // namespace overwinter::worker
