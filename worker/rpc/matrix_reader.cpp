#include "worker/rpc/matrix_reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace overwinter::worker {
namespace {

// Columns of a column-major matrix that are turned at once: a cache line of rows' elements each.
constexpr std::uint64_t kColumnsAtOnce = 16;

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
    : file_(std::move(file)), element_bytes_(file_.dtype == "f8" ? 8 : 4) {
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

std::uint64_t MatrixReader::bytes(const MatrixFile& file) {
  return file.rows * file.columns * (file.dtype == "f8" ? 8 : 4);
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
  const std::size_t column_bytes = block.rows() * size;
  std::vector<std::byte> columns(column_bytes * std::min(kColumnsAtOnce, block.columns()));
  for (std::uint64_t first = block.column_begin; first < block.column_end;
       first += kColumnsAtOnce) {
    const std::uint64_t count = std::min(kColumnsAtOnce, block.column_end - first);
    for (std::uint64_t c = 0; c < count; ++c) {
      const std::uint64_t at =
          file_.data_offset + ((first + c) * file_.rows + block.row_begin) * size;
      Status done =
          read_at(file_.descriptor(), columns.data() + c * column_bytes, column_bytes, at);
      if (!done.ok()) return done;
    }
    for (std::uint64_t row = 0; row < block.rows(); ++row) {
      std::byte* to = out.data() + (row * block.columns() + (first - block.column_begin)) * size;
      for (std::uint64_t c = 0; c < count; ++c) {
        std::memcpy(to + c * size, columns.data() + c * column_bytes + row * size, size);
      }
    }
  }
  return Status::success();
}

}  // namespace overwinter::worker
