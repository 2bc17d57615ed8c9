#include "worker/rpc/matrix_reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace overwinter::worker {
namespace {

// Columns of a column-major matrix that are turned at once: a cache line of rows' elements each.
constexpr std::uint64_t kColumnsAtOnce = 16;
constexpr std::size_t kScratchBytes = std::size_t{64} * 1024;

Status read_at(int descriptor, std::byte* out, std::size_t bytes, std::uint64_t offset) {
  while (bytes > 0) {
    const ssize_t n = ::pread(descriptor, out, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return error(Code::kDataLoss, std::string("a blob cannot be read: ") +
                                        (n < 0 ? std::strerror(errno) : "it ends early"));
    }
    out += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::size_t>(n);
  }
  return Status::success();
}

}  // namespace

MatrixReader::MatrixReader(MatrixFile file, bool map)
    : file_(std::move(file)), element_bytes_(element_bytes(file_)) {
  if (!map || bytes(file_) == 0) return;
  map_bytes_ = file_.data_offset + bytes(file_);
  void* memory = ::mmap(nullptr, map_bytes_, PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (memory == MAP_FAILED) return;
  map_ = memory;
  matrix_ = {static_cast<const std::byte*>(memory) + file_.data_offset, file_.rows, file_.columns,
             file_.fortran_order};
}

MatrixReader::~MatrixReader() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

std::uint64_t MatrixReader::element_bytes(const MatrixFile& file) {
  return file.dtype == "f8" ? 8 : file.dtype == "i1" ? 1 : 4;
}

std::uint64_t MatrixReader::bytes(const MatrixFile& file) {
  return file.rows * file.columns * element_bytes(file);
}

Status MatrixReader::read(const Block& block, std::span<std::byte> out) const {
  if (block.row_end > file_.rows || block.column_end > file_.columns ||
      out.size() != block.rows() * block.columns() * element_bytes_) {
    return error(Code::kOutOfRange, "a block is outside of its matrix");
  }
  const std::uint64_t size = element_bytes_;
  if (!file_.fortran_order) {
    const std::size_t row_bytes = block.columns() * size;
    if (block.columns() == file_.columns) {
      return read_at(file_.descriptor(), out.data(), out.size(),
                     file_.data_offset + block.row_begin * row_bytes);
    }
    for (std::uint64_t row = block.row_begin; row < block.row_end; ++row) {
      const std::uint64_t at =
          file_.data_offset + (row * file_.columns + block.column_begin) * size;
      std::byte* to = out.data() + (row - block.row_begin) * row_bytes;
      if (Status done = read_at(file_.descriptor(), to, row_bytes, at); !done.ok()) return done;
    }
    return Status::success();
  }
  // Column by column through a small buffer: strips of rows, a few columns at once.
  std::array<std::byte, kScratchBytes> scratch{};
  const std::uint64_t strip = kScratchBytes / size / kColumnsAtOnce;
  for (std::uint64_t top = block.row_begin; top < block.row_end; top += strip) {
    const std::uint64_t rows = std::min(strip, block.row_end - top);
    for (std::uint64_t left = block.column_begin; left < block.column_end; left += kColumnsAtOnce) {
      const std::uint64_t columns = std::min(kColumnsAtOnce, block.column_end - left);
      for (std::uint64_t c = 0; c < columns; ++c) {
        const std::uint64_t at = file_.data_offset + ((left + c) * file_.rows + top) * size;
        std::byte* to = scratch.data() + c * rows * size;
        if (Status done = read_at(file_.descriptor(), to, rows * size, at); !done.ok()) return done;
      }
      for (std::uint64_t r = 0; r < rows; ++r) {
        const std::uint64_t row = top - block.row_begin + r;
        std::byte* to = out.data() + (row * block.columns() + left - block.column_begin) * size;
        for (std::uint64_t c = 0; c < columns; ++c) {
          std::memcpy(to + c * size, scratch.data() + (c * rows + r) * size, size);
        }
      }
    }
  }
  return Status::success();
}

}  // namespace overwinter::worker
