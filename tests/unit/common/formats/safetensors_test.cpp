#include "common/formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "common/base/bytes.h"

namespace overwinter::formats {
namespace {

using testing::HasSubstr;

Result<SafetensorsHeader> read(const std::string& file) {
  return read_safetensors_header(file.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
    EXPECT_LE(offset + out.size(), file.size());
    std::memcpy(out.data(), file.data() + offset, out.size());
    return Status::success();
  });
}

std::string with_length(const std::string& json, const std::string& data = {}) {
  std::string file(8, '\0');
  const std::uint64_t size = json.size();
  std::memcpy(file.data(), &size, 8);
  return file + json + data;
}

std::vector<TensorSpec> small_model() {
  return {{"position", TensorDtype::kI64, {2}},     {"wte.weight", TensorDtype::kF32, {3, 2}},
          {"empty", TensorDtype::kF16, {0, 5}},     {"scalar", TensorDtype::kF32, {}},
          {"größe", TensorDtype::kBF16, {1, 1, 3}}, {"mask", TensorDtype::kBool, {3}}};
}

std::string small_file() {
  std::string file;
  auto writer = SafetensorsWriter::begin(
      small_model(), {{"note", "made by a test"}}, [&](std::span<const std::byte> data) {
        file.append(reinterpret_cast<const char*>(data.data()), data.size());
        return Status::success();
      });
  EXPECT_TRUE(writer.has_value());
  const std::string data(16 + 24 + 4 + 6 + 3, 'x');
  for (const char& c : data) EXPECT_TRUE(writer->write(std::as_bytes(std::span(&c, 1))).ok());
  EXPECT_TRUE(writer->finish().ok());
  return file;
}

// What must hold of every header that is accepted, said once more, independently of the reader.
void expect_sound(const SafetensorsHeader& header, std::uint64_t file_bytes) {
  std::uint64_t at = header.data_offset;
  std::vector<TensorSpec> specs;
  for (const TensorInfo& tensor : header.tensors) {
    EXPECT_EQ(tensor.offset, at);
    std::uint64_t bytes = tensor_dtype_bytes(tensor.spec.dtype);
    for (const std::uint64_t size : tensor.spec.shape) bytes *= size;
    EXPECT_EQ(tensor.bytes, bytes);
    EXPECT_FALSE(tensor.spec.name.empty());
    EXPECT_EQ(header.find(tensor.spec.name), &tensor);
    at += bytes;
    specs.push_back(tensor.spec);
  }
  EXPECT_EQ(at, file_bytes);
  EXPECT_EQ(header.file_bytes, file_bytes);
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const std::string file = small_file();
  const auto header = read(file);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  expect_sound(*header, file.size());
  std::vector<TensorSpec> specs;
  for (const TensorInfo& tensor : header->tensors) specs.push_back(tensor.spec);
  EXPECT_EQ(specs, small_model());
  EXPECT_EQ(header->metadata,
            (std::map<std::string, std::string>{{"format", "pt"}, {"note", "made by a test"}}));
  EXPECT_EQ(header->data_offset % 8, 0U);
  EXPECT_EQ(header->find("absent"), nullptr);
}

TEST(Safetensors, EveryElementTypeHasItsNameAndSize) {
  const std::pair<const char*, std::uint64_t> kTypes[] = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
  for (const auto& [name, bytes] : kTypes) {
    const auto dtype = parse_tensor_dtype(name);
    ASSERT_TRUE(dtype.has_value());
    EXPECT_EQ(tensor_dtype_name(*dtype), name);
    EXPECT_EQ(tensor_dtype_bytes(*dtype), bytes);
  }
  EXPECT_FALSE(parse_tensor_dtype("F8_E4M3").has_value());
}

TEST(Safetensors, AFileWithoutTensors) {
  const auto header = write_safetensors_header({});
  ASSERT_TRUE(header.has_value());
  const auto back = read(*header);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_TRUE(back->tensors.empty());
  EXPECT_TRUE(read(with_length("{}")).has_value());
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string file = small_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto header = read(file.substr(0, size));
    ASSERT_FALSE(header.has_value()) << size;
    EXPECT_EQ(header.error().code, Code::kInvalidArgument);
    EXPECT_FALSE(header.error().message.empty());
  }
  EXPECT_FALSE(read(file + '\0').has_value());
}

// A flip in the data changes nothing of the header. One in the header is refused, or gives a header
// that is sound: the format has no checksum, and another letter of a name is another name.
TEST(Safetensors, EveryFlippedByteIsRefusedOrSound) {
  const std::string file = small_file();
  const auto whole = read(file);
  ASSERT_TRUE(whole.has_value());
  int refused = 0;
  int sound = 0;
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string changed = file;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      const auto header = read(changed);
      if (!header) {
        ++refused;
        EXPECT_LT(at, whole->data_offset);
        EXPECT_EQ(header.error().code, Code::kInvalidArgument);
        continue;
      }
      if (at >= whole->data_offset) {
        EXPECT_EQ(*header, *whole);
      } else {
        ++sound;
        expect_sound(*header, changed.size());
      }
    }
  }
  EXPECT_GT(refused, 10'000);
  EXPECT_GT(sound, 100);
}

TEST(Safetensors, OddHeadersGetASentence) {
  const std::string good = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  ASSERT_TRUE(read(with_length("{" + good + "}", "xy")).has_value());
  ASSERT_TRUE(read(with_length("{" + good + "}   \n", "xy")).has_value());
  const std::pair<std::string, const char*> kCases[] = {
      {" {" + good + "}", "does not begin with {"},
      {"[" + good + "]", "does not begin with {"},
      {"{" + good + "," + good + "}", "twice"},
      {"{" + good + "}{}", "no JSON"},
      {"{" + good, "no JSON"},
      {"{" + good + ",}", "no JSON"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[2],"shape":[2],"data_offsets":[0,2]}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"data_offsets":[0,2]}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[2]}})", "lacks"},
      {R"({"a":{}})", "lacks"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"x":1}})", "unknown key"},
      {R"({"a":{"dtype":"F8","shape":[2],"data_offsets":[0,2]}})", "element type"},
      {R"({"a":{"dtype":8,"shape":[2],"data_offsets":[0,2]}})", "a number stands"},
      {R"({"a":{"dtype":["U8"],"shape":[2],"data_offsets":[0,2]}})", "a list stands"},
      {R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", "negative"},
      {R"({"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", "not whole"},
      {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,2]}})", "too large"},
      {R"({"a":{"dtype":"U8","shape":["2"],"data_offsets":[0,2]}})", "a text stands"},
      {R"({"a":{"dtype":"U8","shape":[[2]],"data_offsets":[0,2]}})", "a list stands"},
      {R"({"a":{"dtype":"U8","shape":2,"data_offsets":[0,2]}})", "a number stands"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", "two offsets"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2,2]}})", "two offsets"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "gap"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", "by its shape"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "The file has 2"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "cut short"},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,2]}})",
       "dimensions"},
      {R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,2]}})",
       "larger than"},
      {R"({"a":{"dtype":"F64","shape":[9223372036854775807,2,0],"data_offsets":[0,0]}})",
       "larger than"},
      {R"({"a":[]})", "a list stands"},
      {R"({"a":null})", "null"},
      {R"({"a":{"dtype":{},"shape":[2],"data_offsets":[0,2]}})", "an object stands"},
      {R"({"":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "no name"},
      {R"({"a\u0000b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "control"},
      {"{\"a\xff\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "no JSON"},
      {R"({"__metadata__":{"k":1},)" + good + "}", "a number stands"},
      {R"({"__metadata__":{"k":{}},)" + good + "}", "an object stands"},
      {R"({"__metadata__":{"k":["v"]},)" + good + "}", "a list stands"},
      {R"({"__metadata__":{"k":"v","k":"v"},)" + good + "}", "twice"},
      {R"({"__metadata__":{},"__metadata__":{},)" + good + "}", "twice"},
      {R"({"__metadata__":"v",)" + good + "}", "a text stands"},
      {"{" + good + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "overlap"},
      {R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "gap"},
      {"{" + std::string(100'000, '[') + "}", "no JSON"},
      {R"({"a":)" + std::string(100'000, '['), "a list stands"},
  };
  for (const auto& [json, expected] : kCases) {
    const auto header = read(with_length(json, "xy"));
    ASSERT_FALSE(header.has_value()) << json.substr(0, 200);
    EXPECT_THAT(header.error().message, HasSubstr(expected)) << json.substr(0, 200);
    EXPECT_EQ(header.error().code, Code::kInvalidArgument);
  }
}

TEST(Safetensors, AHeaderAboveItsBoundIsNotRead) {
  std::string file(8, '\0');
  const std::uint64_t size = kSafetensorsHeaderMax + 1;
  std::memcpy(file.data(), &size, 8);
  bool asked_for_more = false;
  const auto header = read_safetensors_header(std::uint64_t{1} << 40U,
                                              [&](std::uint64_t offset, std::span<std::byte> out) {
                                                asked_for_more |= offset != 0 || out.size() != 8;
                                                std::memcpy(out.data(), file.data(), 8);
                                                return Status::success();
                                              });
  ASSERT_FALSE(header.has_value());
  EXPECT_THAT(header.error().message, HasSubstr("16.0 MiB"));
  EXPECT_FALSE(asked_for_more);
}

TEST(Safetensors, TheLongestHeaderIsRead) {
  std::string json = "{";
  std::size_t tensors = 0;
  for (; json.size() + 70 < kSafetensorsHeaderMax; ++tensors)
    json += (tensors == 0 ? "\"" : ",\"") + std::to_string(tensors) +
            R"(":{"dtype":"U8","shape":[],"data_offsets":[)" + std::to_string(tensors) + "," +
            std::to_string(tensors + 1) + "]}";
  const auto header = read(with_length(json + "}", std::string(tensors, 'x')));
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->tensors.size(), tensors);
}

TEST(Safetensors, AnErrorOfTheReadComesBack) {
  const auto header = read_safetensors_header(100, [](std::uint64_t, std::span<std::byte>) {
    return error(Code::kDataLoss, "the disk is broken");
  });
  ASSERT_FALSE(header.has_value());
  EXPECT_EQ(header.error().code, Code::kDataLoss);
}

TEST(Safetensors, WhatIsNotWritten) {
  const auto message = [](const std::vector<TensorSpec>& tensors,
                          const std::map<std::string, std::string>& metadata = {}) {
    const auto header = write_safetensors_header(tensors, metadata);
    return header ? std::string() : header.error().message;
  };
  EXPECT_THAT(message({{"a", TensorDtype::kU8, {1}}, {"a", TensorDtype::kU8, {1}}}),
              HasSubstr("Two tensors"));
  EXPECT_THAT(message({{"a", TensorDtype::kU8, {1}}, {"b", TensorDtype::kF32, {1}}}),
              HasSubstr("wide types come first"));
  EXPECT_THAT(message({{"", TensorDtype::kU8, {1}}}), HasSubstr("no name"));
  EXPECT_THAT(message({{"__metadata__", TensorDtype::kU8, {1}}}), HasSubstr("__metadata__"));
  EXPECT_THAT(message({{"a\xff", TensorDtype::kU8, {1}}}), HasSubstr("UTF-8"));
  EXPECT_THAT(message({}, {{"k", "\xff"}}), HasSubstr("UTF-8"));
  EXPECT_THAT(message({{std::string(1025, 'a'), TensorDtype::kU8, {1}}}), HasSubstr("1025"));
  EXPECT_THAT(message({{"a", TensorDtype::kU8, {std::uint64_t{1} << 62U, 4}}}),
              HasSubstr("larger than"));
  EXPECT_THAT(message({}, {{"k", std::string(kSafetensorsHeaderMax, 'x')}}), HasSubstr("16.0 MiB"));
}

TEST(Safetensors, TheWriterCountsBytes) {
  const std::vector<TensorSpec> tensors{{"a", TensorDtype::kF32, {2}}};
  std::uint64_t written = 0;
  Status full;
  auto writer = SafetensorsWriter::begin(tensors, {}, [&](std::span<const std::byte> data) {
    if (!full.ok()) return full;
    written += data.size();
    return Status::success();
  });
  ASSERT_TRUE(writer.has_value());
  const std::uint64_t header = written;
  const std::string data(9, 'x');
  EXPECT_EQ(writer->write(std::as_bytes(std::span(data))).code, Code::kOutOfRange);
  EXPECT_TRUE(writer->write(std::as_bytes(std::span(data).first(5))).ok());
  EXPECT_EQ(writer->finish().code, Code::kFailedPrecondition);
  full = error(Code::kResourceExhausted, "full");
  EXPECT_EQ(writer->write(std::as_bytes(std::span(data).first(3))), full);
  EXPECT_FALSE(SafetensorsWriter::begin(tensors, {}, [&](std::span<const std::byte>) {
                 return full;
               }).has_value());
  full = {};
  EXPECT_TRUE(writer->write(std::as_bytes(std::span(data).first(3))).ok());
  EXPECT_TRUE(writer->finish().ok());
  EXPECT_EQ(written, header + 8);
}

}  // namespace
}  // namespace overwinter::formats
