#include "coordinator/artifacts/result_reader.h"

#include <algorithm>

#include "coordinator/artifacts/transpose.h"

namespace overwinter::artifacts {
namespace {

// Stored lines stand this far apart in the buffer: BlockReader says why.
constexpr std::uint64_t kLinePadding = 64;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

ResultReader::ResultReader(std::shared_ptr<const File> tiles, const ResultSpec& spec, Order order,
                           std::uint64_t buffer_bytes_max)
    : tiles_(std::move(tiles)),
      spec_(spec),
      grid_(spec.grid()),
      order_(order),
      element_bytes_(formats::dtype_bytes(spec.dtype)),
      buffer_bytes_max_(buffer_bytes_max),
      header_(formats::write_npy_header(spec.dtype, spec.rows, spec.columns,
                                        order == Order::kFortran)) {
  // The header is the first band.
  const std::span<const std::byte> header = bytes_of(header_);
  band_.assign(header.begin(), header.end());
}

Result<std::size_t> ResultReader::next(std::span<std::byte> out) {
  out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), bytes_left())));
  const std::size_t wanted = out.size();
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

// As many lines as half the buffer holds, from where the last band ended, within one line of tiles.
Status ResultReader::load_band() {
  const bool by_rows = order_ == Order::kC;
  const std::uint64_t line_elements = by_rows ? spec_.columns : spec_.rows;
  const std::uint64_t lines = by_rows ? spec_.rows : spec_.columns;
  const std::uint64_t tile_lines = by_rows ? spec_.tile_rows : spec_.tile_columns;
  const std::uint64_t line_bytes = line_elements * element_bytes_;
  const std::uint64_t fit = std::max<std::uint64_t>(1, buffer_bytes_max_ / 2 / line_bytes);
  band_begin_ += band_.size();
  const std::uint64_t begin = (band_begin_ - header_.size()) / line_bytes;
  const std::uint64_t end = std::min({begin + fit, lines, (begin / tile_lines + 1) * tile_lines});
  band_.resize((end - begin) * line_bytes);
  return by_rows ? load_rows(begin, end) : load_columns(begin, end);
}

// Rows of a tile follow one another in the file: one read a tile.
Status ResultReader::load_rows(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t row_bytes = spec_.columns * element_bytes_;
  for (std::uint64_t column = 0; column < grid_.grid_columns(); ++column) {
    const UnitNumber unit = grid_.unit(begin / spec_.tile_rows, column);
    const plan::Tile tile = grid_.tile(unit);
    const std::uint64_t tile_row_bytes = tile.columns() * element_bytes_;
    const std::uint64_t offset =
        grid_.elements_before(unit) * element_bytes_ + (begin - tile.row_begin) * tile_row_bytes;
    pieces_.resize((end - begin) * tile_row_bytes);
    if (Status status = tiles_->read_at(offset, pieces_); !status.ok()) return status;
    std::byte* to = band_.data() + tile.column_begin * element_bytes_;
    for (std::uint64_t row = 0; row < end - begin; ++row)
      std::copy_n(pieces_.data() + row * tile_row_bytes, tile_row_bytes, to + row * row_bytes);
  }
  return Status::success();
}

// A few columns of each tile of one tile column, transposed into their place.
Status ResultReader::load_columns(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t column_bytes = spec_.rows * element_bytes_;
  const std::uint64_t piece_bytes = (end - begin) * element_bytes_;
  const std::uint64_t stride = piece_bytes + kLinePadding;
  for (std::uint64_t row = 0; row < grid_.grid_rows(); ++row) {
    const UnitNumber unit = grid_.unit(row, begin / spec_.tile_columns);
    const plan::Tile tile = grid_.tile(unit);
    const std::uint64_t offset =
        (grid_.elements_before(unit) + begin - tile.column_begin) * element_bytes_;
    pieces_.resize(tile.rows() * stride);
    for (std::uint64_t r = 0; r < tile.rows(); ++r) {
      const std::span<std::byte> piece = std::span(pieces_).subspan(r * stride, piece_bytes);
      const std::uint64_t from = offset + r * tile.columns() * element_bytes_;
      if (Status status = tiles_->read_at(from, piece); !status.ok()) return status;
    }
    transpose(pieces_.data(), stride, band_.data() + tile.row_begin * element_bytes_, column_bytes,
              end - begin, tile.rows(), element_bytes_);
  }
  return Status::success();
}

}  // namespace overwinter::artifacts
