#include "coordinator/artifacts/block_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/check.h"
#include "coordinator/artifacts/transpose.h"

namespace overwinter::artifacts {
namespace {

// Columns in the buffer stand this far apart beyond their length, so that equal rows of
// neighbouring columns do not fall into the same cache set.
constexpr std::uint64_t kColumnPadding = 64;
constexpr std::uint64_t kSlabRows = 32;  // of transpose(): a cache line of each column, or two
// Below this a call costs more than the bytes between.
constexpr std::uint64_t kShortRowBytes = 4096;
constexpr std::uint64_t kBetweenMax = 16;  // times the bytes that are wanted
constexpr std::uint64_t kTogetherBytes = 256 * kKiB;

}  // namespace

Status check_block(const formats::NpyHeader& header, const Block& block) {
  if (block.row_begin <= block.row_end && block.row_end <= header.rows &&
      block.column_begin <= block.column_end && block.column_end <= header.columns)
    return Status::success();
  return error(Code::kInvalidArgument,
               fmt::format("Rows {} to {} and columns {} to {} are not inside a matrix of {} x {}.",
                           block.row_begin, block.row_end, block.column_begin, block.column_end,
                           header.rows, header.columns));
}

Result<BlockReader> BlockReader::open(std::shared_ptr<const File> file,
                                      const formats::NpyHeader& header, const Block& block,
                                      std::uint64_t buffer_bytes_max) {
  if (Status status = check_block(header, block); !status.ok()) return fail(std::move(status));
  return BlockReader(std::move(file), header, block, buffer_bytes_max);
}

BlockReader::BlockReader(std::shared_ptr<const File> file, const formats::NpyHeader& header,
                         const Block& block, std::uint64_t buffer_bytes_max)
    : file_(std::move(file)),
      header_(header),
      block_(block),
      element_bytes_(formats::dtype_bytes(header.dtype)),
      row_bytes_(block.columns() * element_bytes_),
      file_row_bytes_(header.columns * element_bytes_),
      buffer_bytes_max_(buffer_bytes_max),
      together_(!header.fortran_order && row_bytes_ < kShortRowBytes &&
                row_bytes_ < file_row_bytes_ && file_row_bytes_ / kBetweenMax <= row_bytes_) {}

// C order: each row of the block is one piece of the file; whole rows follow one another.
Status BlockReader::read_rows(std::span<std::byte> out) {
  while (!out.empty()) {
    const std::uint64_t row = block_.row_begin + at_ / row_bytes_;
    const std::uint64_t in_row = at_ % row_bytes_;
    const std::uint64_t offset =
        header_.data_offset + row * file_row_bytes_ + block_.column_begin * element_bytes_ + in_row;
    const std::uint64_t piece = row_bytes_ == file_row_bytes_ ? out.size() : row_bytes_ - in_row;
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), piece));
    if (Status status = file_->read_at(offset, out.first(take)); !status.ok()) return status;
    out = out.subspan(take);
    at_ += take;
  }
  return Status::success();
}

Status BlockReader::load_slab() {
  slab_begin_ += slab_.size();
  const std::uint64_t row = block_.row_begin + slab_begin_ / row_bytes_;
  return together_ ? load_slab_between(row) : load_slab_of_columns(row);
}

// C order with short rows: one read for many of them, with what lies between.
Status BlockReader::load_slab_between(std::uint64_t row) {
  const std::uint64_t fit =
      std::max<std::uint64_t>(1, std::min(kTogetherBytes, buffer_bytes_max_) / 2 / file_row_bytes_);
  const std::uint64_t rows = std::min(fit, block_.row_end - row);
  raw_.resize((rows - 1) * file_row_bytes_ + row_bytes_);
  slab_.resize(rows * row_bytes_);
  const std::uint64_t offset =
      header_.data_offset + row * file_row_bytes_ + block_.column_begin * element_bytes_;
  if (Status status = file_->read_at(offset, raw_); !status.ok()) return status;
  for (std::uint64_t r = 0; r < rows; ++r)
    std::copy_n(raw_.data() + r * file_row_bytes_, row_bytes_, slab_.data() + r * row_bytes_);
  return Status::success();
}

Status BlockReader::load_slab_of_columns(std::uint64_t row) {
  if (row >= band_end_ || band_end_ == 0) {
    if (Status status = load_columns(row); !status.ok()) return status;
  }
  const std::uint64_t fit =
      std::clamp<std::uint64_t>(buffer_bytes_max_ / 4 / row_bytes_, 1, kSlabRows);
  const std::uint64_t rows = std::min(fit, band_end_ - row);
  slab_.resize(rows * row_bytes_);
  transpose(raw_.data() + (row - band_begin_) * element_bytes_, column_stride_, slab_.data(),
            row_bytes_, rows, block_.columns(), element_bytes_);
  return Status::success();
}

Status BlockReader::load_columns(std::uint64_t row) {
  const std::uint64_t fit =
      std::max<std::uint64_t>(1, (buffer_bytes_max_ - buffer_bytes_max_ / 4) / row_bytes_);
  // Bands of equal height: the last should not be a sliver of short reads.
  const std::uint64_t left = block_.row_end - row;
  const std::uint64_t bands = (left + fit - 1) / fit;
  band_begin_ = row;
  band_end_ = row + (left + bands - 1) / bands;
  const std::uint64_t column_bytes = (band_end_ - band_begin_) * element_bytes_;
  column_stride_ = column_bytes + (column_bytes >= kShortRowBytes / 4 ? kColumnPadding : 0);
  raw_.resize(column_stride_ * block_.columns());
  for (std::uint64_t c = 0; c < block_.columns(); ++c) {
    const std::uint64_t offset =
        header_.data_offset + ((block_.column_begin + c) * header_.rows + row) * element_bytes_;
    const std::span<std::byte> column = std::span(raw_).subspan(c * column_stride_, column_bytes);
    if (Status status = file_->read_at(offset, column); !status.ok()) return status;
  }
  return Status::success();
}

Result<std::size_t> BlockReader::next(std::span<std::byte> out) {
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), bytes_left())));
  const std::size_t wanted = out.size();
  if (!header_.fortran_order && !together_) {
    if (Status status = read_rows(out); !status.ok()) return fail(std::move(status));
    return wanted;
  }
  while (!out.empty()) {
    if (at_ == slab_begin_ + slab_.size()) {
      if (Status status = load_slab(); !status.ok()) return fail(std::move(status));
    }
    const std::span<const std::byte> ready =
        std::span<const std::byte>(slab_).subspan(at_ - slab_begin_);
    const std::size_t take = std::min(out.size(), ready.size());
    std::copy_n(ready.begin(), take, out.begin());
    out = out.subspan(take);
    at_ += take;
  }
  return wanted;
}

Status read_block(std::shared_ptr<const File> file, const formats::NpyHeader& header,
                  const Block& block, std::span<std::byte> out) {
  Result<BlockReader> reader = BlockReader::open(std::move(file), header, block);
  if (!reader) return reader.error();
  check(out.size() == reader->size_bytes(), "the buffer has not the size of the block");
  const Result<std::size_t> got = reader->next(out);
  return got ? Status::success() : got.error();
}

}  // namespace overwinter::artifacts
