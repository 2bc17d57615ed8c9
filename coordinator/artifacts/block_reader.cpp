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
      buffer_bytes_max_(buffer_bytes_max) {}

// C order: each row of the block is one piece of the file; whole rows follow one another.
Status BlockReader::read_rows(std::span<std::byte> out) {
  const std::uint64_t file_row_bytes = header_.columns * element_bytes_;
  while (!out.empty()) {
    const std::uint64_t row = block_.row_begin + at_ / row_bytes_;
    const std::uint64_t in_row = at_ % row_bytes_;
    const std::uint64_t offset =
        header_.data_offset + row * file_row_bytes + block_.column_begin * element_bytes_ + in_row;
    const std::uint64_t together = row_bytes_ == file_row_bytes ? out.size() : row_bytes_ - in_row;
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), together));
    if (Status status = file_->read_at(offset, out.first(take)); !status.ok()) return status;
    out = out.subspan(take);
    at_ += take;
  }
  return Status::success();
}

// Fortran order: as many rows as the two buffers hold, read column by column and transposed.
Status BlockReader::load_band() {
  band_begin_ += band_.size();
  const std::uint64_t row = block_.row_begin + band_begin_ / row_bytes_;
  const std::uint64_t rows_fit = std::max<std::uint64_t>(1, buffer_bytes_max_ / 2 / row_bytes_);
  const std::uint64_t rows = std::min(rows_fit, block_.row_end - row);
  const std::uint64_t column_bytes = rows * element_bytes_;
  const std::uint64_t stride = column_bytes + (rows > 1 ? kColumnPadding : 0);
  columns_.resize(stride * block_.columns());
  band_.resize(rows * row_bytes_);
  for (std::uint64_t c = 0; c < block_.columns(); ++c) {
    const std::uint64_t offset =
        header_.data_offset + ((block_.column_begin + c) * header_.rows + row) * element_bytes_;
    const std::span<std::byte> column = std::span(columns_).subspan(c * stride, column_bytes);
    if (Status status = file_->read_at(offset, column); !status.ok()) return status;
  }
  transpose(columns_.data(), stride, band_.data(), row_bytes_, rows, block_.columns(),
            element_bytes_);
  return Status::success();
}

Result<std::size_t> BlockReader::next(std::span<std::byte> out) {
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), bytes_left())));
  const std::size_t wanted = out.size();
  if (!header_.fortran_order) {
    if (Status status = read_rows(out); !status.ok()) return fail(std::move(status));
    return wanted;
  }
  while (!out.empty()) {
    if (at_ == band_begin_ + band_.size()) {
      if (Status status = load_band(); !status.ok()) return fail(std::move(status));
    }
    const std::span<const std::byte> ready =
        std::span<const std::byte>(band_).subspan(at_ - band_begin_);
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
