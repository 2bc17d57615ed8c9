// safetensors: named tensors in one file, as Hugging Face and others read it.
//
//   8 bytes   length of the header, little-endian
//   header    a JSON object: name -> {"dtype", "shape", "data_offsets": [begin, end)}, and perhaps
//             "__metadata__" -> texts; filled with spaces so that the data begin at a multiple of 8
//   data      the tensors, dense, little-endian, row-major; offsets count from here
//
// What is read is hostile: the header is bounded, read event by event and never built up as a
// document, and no key stands twice; the tensors fill the data without gap or overlap, and the file
// is exactly as long as they say. Format: github.com/huggingface/safetensors, README "Format".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/formats/npy.h"  // ReadAt

namespace overwinter::formats {

enum class TensorDtype : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool
};

[[nodiscard]] std::uint64_t tensor_dtype_bytes(TensorDtype dtype);    // of one element
[[nodiscard]] std::string_view tensor_dtype_name(TensorDtype dtype);  // as in a file: "BF16"
[[nodiscard]] Result<TensorDtype> parse_tensor_dtype(std::string_view name);

inline constexpr std::uint64_t kSafetensorsHeaderMax = std::uint64_t{16} << 20;
inline constexpr std::size_t kTensorNameMax = 1024;
inline constexpr std::size_t kTensorRankMax = 16;

// What is written of a tensor, besides its bytes.
struct TensorSpec {
  std::string name;  // UTF-8 without control characters, not empty, not "__metadata__"
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<std::uint64_t> shape;  // empty: one number
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

[[nodiscard]] Status check_tensor_name(std::string_view name);  // UTF-8 is not looked at
// kInvalidArgument when it has too many dimensions, or its size does not fit 63 bits.
[[nodiscard]] Result<std::uint64_t> tensor_bytes(const TensorSpec& spec);

// One tensor of a file that was read.
struct TensorInfo {
  TensorSpec spec;
  std::uint64_t offset = 0;  // of its first byte in the file
  std::uint64_t bytes = 0;
  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
  std::uint64_t data_offset = 0;
  std::uint64_t file_bytes = 0;

  // Null when there is none. Looks at each tensor.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;
  friend bool operator==(const SafetensorsHeader&, const SafetensorsHeader&) = default;
};

// Reads the header of a file through `read`, which fills the whole span from the offset on (never
// asked beyond file_bytes). kInvalidArgument in one sentence; errors of `read` as they are.
[[nodiscard]] Result<SafetensorsHeader> read_safetensors_header(std::uint64_t file_bytes,
                                                                const ReadAt& read);

// The bytes before the data of a file with these tensors in this order; "format": "pt" is added to
// the metadata. kInvalidArgument: a name that is empty, too long or there twice, a header above its
// bound, or a tensor that would not begin at a multiple of its element's size (put wide types
// first: readers map files and look at elements in place).
[[nodiscard]] Result<std::string> write_safetensors_header(
    std::span<const TensorSpec> tensors, const std::map<std::string, std::string>& metadata = {});

// Writes a file front to back: the header at once, then the tensors' bytes in order, in pieces of
// any size. Not thread-safe.
class SafetensorsWriter {
 public:
  // Takes the next bytes of the file.
  using Sink = std::function<Status(std::span<const std::byte>)>;

  [[nodiscard]] static Result<SafetensorsWriter> begin(
      std::span<const TensorSpec> tensors, const std::map<std::string, std::string>& metadata,
      Sink sink);

  // kOutOfRange beyond the last tensor; errors of the sink as they are.
  [[nodiscard]] Status write(std::span<const std::byte> data);
  // kFailedPrecondition, with the numbers, when bytes are missing.
  [[nodiscard]] Status finish() const;

 private:
  SafetensorsWriter(Sink sink, std::uint64_t data_bytes)
      : sink_(std::move(sink)), left_(data_bytes) {}
  Sink sink_;
  std::uint64_t left_;
};

}  // namespace overwinter::formats
