// The header of a safetensors file, read event by event.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "common/base/bytes.h"
#include "common/formats/npy_dictionary.h"  // quote_foreign
#include "common/formats/safetensors.h"
#include "common/formats/strict_json.h"

namespace overwinter::formats {
namespace {

constexpr std::uint64_t kHeaderLengthBytes = 8;

struct Found {
  TensorSpec spec;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class HeaderEvents final : public RefusingEvents {
 public:
  std::vector<Found> tensors;
  std::map<std::string, std::string> metadata;

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kOutside:
        place_ = Place::kTop;
        return true;
      case Place::kTensor:
      case Place::kMetadata:
        if (inside_) break;
        inside_ = true;
        return true;
      default:
        break;
    }
    return refuse("an object");
  }

  bool key(string_t& name) override {
    switch (place_) {
      case Place::kTop:
        return top_key(name);
      case Place::kMetadata:
        text_key_ = name;
        if (!metadata.contains(name)) return true;
        return say(fmt::format("its metadata have {} twice", quote_foreign(name)));
      case Place::kTensor:
        return tensor_key(name);
      default:
        return refuse("a key");
    }
  }

  bool end_object() override {
    if (place_ == Place::kTop) {
      place_ = Place::kEnded;
      return true;
    }
    if (place_ == Place::kTensor && (seen_ != kAll))
      return say(fmt::format("{} lacks dtype, shape or data_offsets", name()));
    place_ = Place::kTop;
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::kMetadata && inside_) {
      metadata.emplace(std::move(text_key_), std::move(text));
      return true;
    }
    if (place_ != Place::kTensor || !inside_ || wanted_ != kDtype) return refuse("a text");
    const Result<TensorDtype> dtype = parse_tensor_dtype(text);
    if (!dtype) return say(fmt::format("{}: {}", name(), dtype.error().message));
    tensors.back().spec.dtype = *dtype;
    wanted_ = 0;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTensor || !inside_ || (wanted_ != kShape && wanted_ != kOffsets))
      return refuse("a list");
    place_ = Place::kList;
    offsets_ = 0;
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (place_ != Place::kList) return refuse("a number");
    Found& tensor = tensors.back();
    if (wanted_ == kShape) {
      if (tensor.spec.shape.size() == kTensorRankMax)
        return say(fmt::format("{} has more than {} dimensions", name(), kTensorRankMax));
      tensor.spec.shape.push_back(number);
      return true;
    }
    if (offsets_ == 2) return say(fmt::format("{} has more than two offsets", name()));
    (offsets_++ == 0 ? tensor.begin : tensor.end) = number;
    return true;
  }

  bool end_array() override {
    if (wanted_ == kOffsets && offsets_ != 2)
      return say(fmt::format("{} has not two offsets", name()));
    place_ = Place::kTensor;
    wanted_ = 0;
    return true;
  }

 private:
  enum class Place : std::uint8_t { kOutside, kTop, kMetadata, kTensor, kList, kEnded };
  static constexpr unsigned kDtype = 1;
  static constexpr unsigned kShape = 2;
  static constexpr unsigned kOffsets = 4;
  static constexpr unsigned kAll = kDtype | kShape | kOffsets;

  [[nodiscard]] std::string name() const {
    return "tensor " + quote_foreign(tensors.back().spec.name);
  }

  bool top_key(const std::string& name) {
    inside_ = false;
    if (!names_.insert(name).second)
      return say(fmt::format("the name {} stands twice", quote_foreign(name)));
    if (name == "__metadata__") {
      place_ = Place::kMetadata;
      return true;
    }
    if (Status status = check_tensor_name(name); !status.ok()) return say(status.message);
    place_ = Place::kTensor;
    seen_ = 0;
    wanted_ = 0;
    tensors.push_back({{name, TensorDtype::kF32, {}}, 0, 0});
    return true;
  }

  bool tensor_key(std::string_view key) {
    wanted_ = key == "dtype" ? kDtype : key == "shape" ? kShape : kOffsets;
    if (wanted_ == kOffsets && key != "data_offsets")
      return say(fmt::format("{} has the unknown key {}", name(), quote_foreign(key)));
    if ((seen_ & wanted_) != 0)
      return say(fmt::format("{} has the key {} twice", name(), quote_foreign(key)));
    seen_ |= wanted_;
    return true;
  }

  Place place_ = Place::kOutside;
  bool inside_ = false;  // of the object of a tensor or of the metadata
  unsigned seen_ = 0;    // keys of the last tensor
  unsigned wanted_ = 0;  // the key whose value comes next
  int offsets_ = 0;
  std::string text_key_;
  std::unordered_set<std::string> names_;
};

Status bad_file(std::string what) {
  return error(Code::kInvalidArgument, std::move(what));
}

// Offsets against shapes, against each other and against the file.
Result<std::vector<TensorInfo>> place(std::vector<Found> found, std::uint64_t data_offset,
                                      std::uint64_t data_bytes) {
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::vector<TensorInfo> tensors;
  tensors.reserve(found.size());
  std::uint64_t at = 0;
  for (Found& tensor : found) {
    const std::string name = quote_foreign(tensor.spec.name);
    const Result<std::uint64_t> bytes = tensor_bytes(tensor.spec);
    if (!bytes) return fail(bytes.error());
    if (tensor.begin != at)
      return fail(bad_file(
          fmt::format("Tensor {} begins at byte {} of the data, where {} follows: the "
                      "tensors {}.",
                      name, tensor.begin, at, tensor.begin < at ? "overlap" : "leave a gap")));
    if (tensor.end < tensor.begin || tensor.end - tensor.begin != *bytes)
      return fail(bad_file(fmt::format("Tensor {} has {} bytes by its shape, and offsets {} to {}.",
                                       name, *bytes, tensor.begin, tensor.end)));
    if (tensor.end > data_bytes)
      return fail(
          bad_file(fmt::format("Tensor {} ends at byte {} of the data, and the file has {}: it "
                               "is cut short.",
                               name, tensor.end, data_bytes)));
    at = tensor.end;
    tensors.push_back({std::move(tensor.spec), data_offset + tensor.begin, *bytes});
  }
  if (at != data_bytes)
    return fail(bad_file(
        fmt::format("The file has {} bytes of data, and its tensors {}.", data_bytes, at)));
  return tensors;
}

}  // namespace

Result<SafetensorsHeader> read_safetensors_header(std::uint64_t file_bytes, const ReadAt& read) {
  if (file_bytes < kHeaderLengthBytes)
    return fail(bad_file("It is no safetensors file: it is shorter than the length of a header."));
  std::array<std::byte, kHeaderLengthBytes> prefix{};
  if (Status status = read(0, prefix); !status.ok()) return fail(std::move(status));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kHeaderLengthBytes; ++i)
    length |= std::to_integer<std::uint64_t>(prefix[i]) << (8 * i);
  if (length > kSafetensorsHeaderMax)
    return fail(
        bad_file(fmt::format("It is no safetensors file, or its header of {} bytes is longer "
                             "than {}.",
                             length, format_bytes(kSafetensorsHeaderMax))));
  if (length > file_bytes - kHeaderLengthBytes)
    return fail(bad_file(fmt::format(
        "The file has {} bytes, and its header alone {}: it is cut short.", file_bytes, length)));
  std::string json(length, '\0');
  if (Status status = read(kHeaderLengthBytes, std::as_writable_bytes(std::span(json)));
      !status.ok())
    return fail(std::move(status));
  if (!json.starts_with('{'))
    return fail(bad_file("It is no safetensors file: its header does not begin with {."));
  HeaderEvents events;
  if (!nlohmann::json::sax_parse(json, &events))
    return fail(bad_file(fmt::format("The safetensors header is wrong: {}.", events.trouble())));
  SafetensorsHeader header;
  header.metadata = std::move(events.metadata);
  header.data_offset = kHeaderLengthBytes + length;
  header.file_bytes = file_bytes;
  Result<std::vector<TensorInfo>> tensors =
      place(std::move(events.tensors), header.data_offset, file_bytes - header.data_offset);
  if (!tensors) return fail(std::move(tensors.error()));
  header.tensors = std::move(*tensors);
  return header;
}

}  // namespace overwinter::formats
