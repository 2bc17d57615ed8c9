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

// Not thread-safe; many readers may share a file. How it reads:
//  - C order: each row of the block is a piece of the file, read straight into the caller's memory.
//  Short rows of a
//    narrow file are read together with what lies between them.
//  - Fortran order: a band of rows is read column by column, as tall as the buffer allows (a read
//  should be kilobytes),
//    and transposed slab by slab as it is asked for.
class BlockReader {
 public:
  // `buffer_bytes_max` bounds what it holds; at least one row of the block whatever it says.
  [[nodiscard]] static Result<BlockReader> open(std::shared_ptr<const File> file,
                                                const formats::NpyHeader& header,
                                                const Block& block,
                                                std::uint64_t buffer_bytes_max = 32 * kMiB);

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
  [[nodiscard]] Status load_slab();
  [[nodiscard]] Status load_slab_between(std::uint64_t row);
  [[nodiscard]] Status load_slab_of_columns(std::uint64_t row);
  [[nodiscard]] Status load_columns(std::uint64_t row);

  std::shared_ptr<const File> file_;
  formats::NpyHeader header_;
  Block block_;
  std::uint64_t element_bytes_;
  std::uint64_t row_bytes_;       // of the block
  std::uint64_t file_row_bytes_;  // of the file in C order
  std::uint64_t buffer_bytes_max_;
  bool together_;         // C order, rows are read with what lies between them
  std::uint64_t at_ = 0;  // bytes given out

  // Not used where rows are read straight into the caller's memory.
  std::vector<std::byte> raw_;    // as in the file: whole rows, or columns of the band
  std::vector<std::byte> slab_;   // rows as given out
  std::uint64_t slab_begin_ = 0;  // bytes of the block before the slab
  // The band in raw_: rows of the matrix, columns of the block; columns stand column_stride_ bytes
  // apart.
  std::uint64_t band_begin_ = 0;
  std::uint64_t band_end_ = 0;
  std::uint64_t column_stride_ = 0;
};

// The whole block into `out`, whose size must be that of the block.
[[nodiscard]] Status read_block(std::shared_ptr<const File> file, const formats::NpyHeader& header,
                                const Block& block, std::span<std::byte> out);

}  // namespace overwinter::artifacts
