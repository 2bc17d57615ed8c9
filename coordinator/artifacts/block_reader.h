// BlockReader: rows and columns of a stored .npy matrix as dense rows, whatever order the file is
// in, in pieces and with bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/formats/npy.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

// Rows [row_begin, row_end) and columns [column_begin, column_end).
struct Block {
  std::uint64_t row_begin = 0;
  std::uint64_t row_end = 0;
  std::uint64_t column_begin = 0;
  std::uint64_t column_end = 0;
  [[nodiscard]] std::uint64_t rows() const { return row_end - row_begin; }
  [[nodiscard]] std::uint64_t columns() const { return column_end - column_begin; }
  friend bool operator==(const Block&, const Block&) = default;
};

// kInvalidArgument with the numbers when the block is not inside the matrix. Empty blocks are
// inside.
[[nodiscard]] Status check_block(const formats::NpyHeader& header, const Block& block);

// Not thread-safe; many readers may share a file.
class BlockReader {
 public:
  // `buffer_bytes_max` bounds what it holds for a Fortran-order file (a C-order one needs none); at
  // least one row of the block is held whatever it says.
  [[nodiscard]] static Result<BlockReader> open(std::shared_ptr<const File> file,
                                                const formats::NpyHeader& header,
                                                const Block& block,
                                                std::uint64_t buffer_bytes_max = 16 * kMiB);

  // Of the whole block.
  [[nodiscard]] std::uint64_t size_bytes() const { return row_bytes_ * block_.rows(); }
  [[nodiscard]] std::uint64_t bytes_left() const { return size_bytes() - at_; }
  // Fills `out` with the next bytes of the block, row by row, little-endian; returns how many:
  // out.size(), or what is left. After an error only destroy it.
  [[nodiscard]] Result<std::size_t> next(std::span<std::byte> out);

 private:
  BlockReader(std::shared_ptr<const File> file, const formats::NpyHeader& header,
              const Block& block, std::uint64_t buffer_bytes_max);
  [[nodiscard]] Status read_rows(std::span<std::byte> out);
  [[nodiscard]] Status load_band();

  std::shared_ptr<const File> file_;
  formats::NpyHeader header_;
  Block block_;
  std::uint64_t element_bytes_;
  std::uint64_t row_bytes_;  // of the block
  std::uint64_t buffer_bytes_max_;
  std::uint64_t at_ = 0;  // bytes given out

  // Fortran order: a band of rows, transposed. Empty before the first.
  std::vector<std::byte> columns_;  // as in the file
  std::vector<std::byte> band_;     // as given out
  std::uint64_t band_begin_ = 0;    // bytes of the block before the band
};

// The whole block into `out`, whose size must be that of the block.
[[nodiscard]] Status read_block(std::shared_ptr<const File> file, const formats::NpyHeader& header,
                                const Block& block, std::span<std::byte> out);

}  // namespace overwinter::artifacts
