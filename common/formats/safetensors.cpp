#include "common/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/bytes.h"
#include "common/formats/npy_dictionary.h"  // quote_foreign

namespace overwinter::formats {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct TensorDtypeRow {
  TensorDtype dtype;
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<TensorDtypeRow, 10> kTensorDtypes{{{TensorDtype::kF64, "F64", 8},
                                                        {TensorDtype::kF32, "F32", 4},
                                                        {TensorDtype::kF16, "F16", 2},
                                                        {TensorDtype::kBF16, "BF16", 2},
                                                        {TensorDtype::kI64, "I64", 8},
                                                        {TensorDtype::kI32, "I32", 4},
                                                        {TensorDtype::kI16, "I16", 2},
                                                        {TensorDtype::kI8, "I8", 1},
                                                        {TensorDtype::kU8, "U8", 1},
                                                        {TensorDtype::kBool, "BOOL", 1}}};
constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kTensorAlignment = 8;

const TensorDtypeRow& tensor_row_of(TensorDtype dtype) {
  return kTensorDtypes.at(static_cast<std::size_t>(dtype));
}

Status bad_tensors(std::string what) {
  return error(Code::kInvalidArgument, std::move(what));
}

// JSON would replace what is no UTF-8, and the name would be another one.
bool is_utf8(const std::string& text) {
  try {
    return !OrderedJson(text).dump().empty();
  } catch (const OrderedJson::exception&) {
    return false;
  }
}

// Where each tensor begins in the data, and how long all are.
Result<std::vector<std::uint64_t>> lay_out(std::span<const TensorSpec> tensors) {
  std::vector<std::uint64_t> begins;
  std::vector<std::string_view> names;
  std::uint64_t at = 0;
  for (const TensorSpec& spec : tensors) {
    if (Status status = check_tensor_name(spec.name); !status.ok()) return fail(std::move(status));
    if (!is_utf8(spec.name)) return fail(bad_tensors("A tensor's name is no UTF-8."));
    const Result<std::uint64_t> bytes = tensor_bytes(spec);
    if (!bytes) return fail(bytes.error());
    if (at % tensor_dtype_bytes(spec.dtype) != 0)
      return fail(
          bad_tensors(fmt::format("Tensor {} would begin at byte {} of the data, which is no "
                                  "multiple of an element's {} bytes: wide types come first.",
                                  quote_foreign(spec.name), at, tensor_dtype_bytes(spec.dtype))));
    if (*bytes > kBytesMax - at) return fail(bad_tensors("All tensors together exceed a file."));
    begins.push_back(at);
    names.push_back(spec.name);
    at += *bytes;
  }
  begins.push_back(at);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return fail(bad_tensors(fmt::format("Two tensors are named {}.", quote_foreign(*twice))));
  return begins;
}

}  // namespace

std::uint64_t tensor_dtype_bytes(TensorDtype dtype) {
  return tensor_row_of(dtype).bytes;
}

std::string_view tensor_dtype_name(TensorDtype dtype) {
  return tensor_row_of(dtype).name;
}

Result<TensorDtype> parse_tensor_dtype(std::string_view name) {
  for (const TensorDtypeRow& row : kTensorDtypes) {
    if (row.name == name) return row.dtype;
  }
  return fail(
      bad_tensors(fmt::format("A tensor has the element type {}, which is not one of F64, F32, "
                              "F16, BF16, I64, I32, I16, I8, U8 and BOOL.",
                              quote_foreign(name))));
}

Status check_tensor_name(std::string_view name) {
  if (name.empty()) return bad_tensors("A tensor has no name.");
  if (name.size() > kTensorNameMax)
    return bad_tensors(
        fmt::format("A tensor's name has {} bytes; the most is {}.", name.size(), kTensorNameMax));
  if (name == kMetadataKey) return bad_tensors("A tensor is named __metadata__.");
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
  });
  if (control)
    return bad_tensors(
        fmt::format("A tensor's name has control characters: {}.", quote_foreign(name)));
  return Status::success();
}

Result<std::uint64_t> tensor_bytes(const TensorSpec& spec) {
  if (spec.shape.size() > kTensorRankMax)
    return fail(
        bad_tensors(fmt::format("Tensor {} has {} dimensions; the most is {}.",
                                quote_foreign(spec.name), spec.shape.size(), kTensorRankMax)));
  std::uint64_t bytes = tensor_dtype_bytes(spec.dtype);
  bool empty = false;
  for (const std::uint64_t size : spec.shape) {
    // A zero hides no product that does not fit: other readers multiply from the left.
    if (size == 0) {
      empty = true;
      continue;
    }
    if (size > kBytesMax / bytes)
      return fail(bad_tensors(
          fmt::format("Tensor {} is larger than a file can be.", quote_foreign(spec.name))));
    bytes *= size;
  }
  return empty ? 0 : bytes;
}

const TensorInfo* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& t) { return t.spec.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

Result<std::string> write_safetensors_header(std::span<const TensorSpec> tensors,
                                             const std::map<std::string, std::string>& metadata) {
  const Result<std::vector<std::uint64_t>> begins = lay_out(tensors);
  if (!begins) return fail(begins.error());
  // Written piece by piece: a document of many tensors takes many times its text.
  std::map<std::string, std::string> texts = metadata;
  texts["format"] = "pt";
  std::string json;
  try {
    json = fmt::format("{{\"{}\":{}", kMetadataKey, OrderedJson(texts).dump());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      json += fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                          OrderedJson(tensors[i].name).dump(), tensor_dtype_name(tensors[i].dtype),
                          OrderedJson(tensors[i].shape).dump(), (*begins)[i], (*begins)[i + 1]);
      if (json.size() > kSafetensorsHeaderMax) break;
    }
  } catch (const OrderedJson::exception&) {
    return fail(bad_tensors("A text of the metadata is no UTF-8."));
  }
  json += '}';
  json.append((kTensorAlignment - json.size() % kTensorAlignment) % kTensorAlignment, ' ');
  if (json.size() > kSafetensorsHeaderMax)
    return fail(bad_tensors(fmt::format("The header of {} tensors has more than {}.",
                                        tensors.size(), format_bytes(kSafetensorsHeaderMax))));
  std::string out(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    out[i] = static_cast<char>((std::uint64_t{json.size()} >> (8 * i)) & 0xffU);
  return out + json;
}

Result<SafetensorsWriter> SafetensorsWriter::begin(
    std::span<const TensorSpec> tensors, const std::map<std::string, std::string>& metadata,
    Sink sink) {
  const Result<std::string> header = write_safetensors_header(tensors, metadata);
  if (!header) return fail(header.error());
  std::uint64_t bytes = 0;
  for (const TensorSpec& spec : tensors) bytes += tensor_bytes(spec).value_or(0);
  if (Status status = sink(std::as_bytes(std::span(*header))); !status.ok())
    return fail(std::move(status));
  return SafetensorsWriter(std::move(sink), bytes);
}

Status SafetensorsWriter::write(std::span<const std::byte> data) {
  if (data.size() > left_)
    return error(Code::kOutOfRange,
                 fmt::format("{} bytes came for tensors that lack {}.", data.size(), left_));
  if (Status status = sink_(data); !status.ok()) return status;
  left_ -= data.size();
  return Status::success();
}

Status SafetensorsWriter::finish() const {
  if (left_ == 0) return Status::success();
  return error(Code::kFailedPrecondition, fmt::format("The tensors lack {} bytes.", left_));
}

}  // namespace overwinter::formats
