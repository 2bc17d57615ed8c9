// What the tests of this room share: matrices with a value that tells their place, and small
// conveniences.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/formats/digest.h"
#include "common/formats/npy.h"
#include "coordinator/artifacts/result_spec.h"

namespace overwinter::artifacts {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string random_text(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// A matrix of opaque elements, dense by rows.
struct DenseMatrix {
  formats::Dtype dtype = formats::Dtype::kFloat32;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::string data;

  [[nodiscard]] std::uint64_t element_bytes() const { return formats::dtype_bytes(dtype); }
  [[nodiscard]] std::string_view element(std::uint64_t row, std::uint64_t column) const {
    return std::string_view(data).substr((row * columns + column) * element_bytes(),
                                         element_bytes());
  }
  // Rows and columns of it, dense, the slow and obvious way.
  [[nodiscard]] std::string block(std::uint64_t row_begin, std::uint64_t row_end,
                                  std::uint64_t column_begin, std::uint64_t column_end) const {
    std::string out;
    for (std::uint64_t r = row_begin; r < row_end; ++r) {
      for (std::uint64_t c = column_begin; c < column_end; ++c) out += element(r, c);
    }
    return out;
  }
  [[nodiscard]] std::string npy(bool fortran_order) const {
    std::string out = formats::write_npy_header(dtype, rows, columns, fortran_order);
    if (!fortran_order) return out + data;
    for (std::uint64_t c = 0; c < columns; ++c) {
      for (std::uint64_t r = 0; r < rows; ++r) out += element(r, c);
    }
    return out;
  }
};

inline DenseMatrix random_matrix(formats::Dtype dtype, std::uint64_t rows, std::uint64_t columns,
                                 std::uint64_t seed) {
  return {dtype, rows, columns, random_text(rows * columns * formats::dtype_bytes(dtype), seed)};
}

inline std::string tile_of(const DenseMatrix& c, const ResultSpec& spec, UnitNumber unit) {
  const plan::Tile tile = spec.grid().tile(unit);
  return c.block(tile.row_begin, tile.row_end, tile.column_begin, tile.column_end);
}

inline Digest digest_of(std::string_view content) {
  formats::BlobDigester digester;
  digester.update(bytes_of(content));
  return digester.finish();
}

// Everything that next() of a reader gives, in pieces of this size.
template <class Reader>
Result<std::string> drain(Reader& reader, std::size_t piece_bytes) {
  std::string out;
  std::vector<std::byte> piece(piece_bytes);
  while (reader.bytes_left() != 0) {
    const Result<std::size_t> got = reader.next(piece);
    if (!got) return fail(got.error());
    out += text_of(std::span(piece).first(*got));
  }
  return out;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "overwinter-XXXXXX").string();
    check(::mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace overwinter::artifacts
