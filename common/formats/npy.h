// .npy: the header of a matrix file. Versions 1 to 3, little-endian f2 f4 f8 i1 i4 i8,
// two-dimensional, both orders. The header is hostile input: bounded, parsed without recursion, and
// its shape is checked before anybody allocates. Format: numpy.lib.format, NumPy enhancement
// proposal 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::formats {

enum class Dtype : std::uint8_t {
  kFloat16 = 1,
  kFloat32 = 2,
  kFloat64 = 3,
  kInt8 = 4,
  kInt32 = 5,
  kInt64 = 6,
};

[[nodiscard]] std::uint64_t dtype_bytes(Dtype dtype);          // of one element
[[nodiscard]] std::string_view dtype_name(Dtype dtype);        // as NumPy says it: "float32"
[[nodiscard]] std::string_view dtype_descriptor(Dtype dtype);  // as in a file: "<f4", "|i1"
// Takes descriptors: "<f4", "=f4", "|i1", "<i1". Anything else is refused with one sentence and a
// hint.
[[nodiscard]] Result<Dtype> parse_dtype(std::string_view descriptor);

inline constexpr std::uint64_t kNpyHeaderBytesMax = std::uint64_t{1}
                                                    << 20;  // magic and length included
inline constexpr std::uint64_t kNpyDimensionMax = std::uint64_t{1} << 40;  // rows, and columns
// Enough of a file for the header that NumPy writes.
inline constexpr std::uint64_t kNpyPrefixBytes = 4096;

struct NpyHeader {
  Dtype dtype = Dtype::kFloat32;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  bool fortran_order = false;
  std::uint64_t data_offset = 0;  // where the first element stands in the file

  // Both cannot overflow for a header that was parsed.
  [[nodiscard]] std::uint64_t data_bytes() const { return rows * columns * dtype_bytes(dtype); }
  [[nodiscard]] std::uint64_t file_bytes() const { return data_offset + data_bytes(); }
  friend bool operator==(const NpyHeader&, const NpyHeader&) = default;
};

// `header` is there when the prefix held all of it; else call again with a prefix of at least
// `bytes_needed` (the file is cut short when it has not as many).
struct NpyPrefix {
  std::optional<NpyHeader> header;
  std::uint64_t bytes_needed = 0;
};

// Parses what a file begins with. Never reads beyond the span. Errors are kInvalidArgument, one
// sentence each.
[[nodiscard]] Result<NpyPrefix> parse_npy_prefix(std::span<const std::byte> prefix);

// The file must be exactly as long as its header says.
[[nodiscard]] Status check_npy_length(const NpyHeader& header, std::uint64_t file_bytes);

// Reads header and checks the length of a file through `read`, which fills the whole span from the
// offset on (never asked beyond file_bytes). Errors of `read` come back as they are.
using ReadAt = std::function<Status(std::uint64_t offset, std::span<std::byte> out)>;
[[nodiscard]] Result<NpyHeader> read_npy_header(std::uint64_t file_bytes, const ReadAt& read);

// The bytes that stand before the elements, the same as NumPy's: version 1, data aligned to 64
// bytes.
[[nodiscard]] std::string write_npy_header(Dtype dtype, std::uint64_t rows, std::uint64_t columns,
                                           bool fortran_order);

}  // namespace overwinter::formats
