#include "common/formats/npy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <random>
#include <string>

namespace overwinter::formats {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

std::string header_of(std::string_view dictionary, int version = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  return text + little_endian(dictionary.size(), version == 1 ? 2 : 4) + std::string(dictionary);
}

std::string dictionary_of(std::string_view descriptor, std::string_view shape = "(3, 4)",
                          std::string_view order = "False") {
  return "{'descr': " + std::string(descriptor) + ", 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }\n";
}

Result<NpyPrefix> parse(std::string_view text) {
  return parse_npy_prefix(bytes_of(text));
}

Status refusal(std::string_view dictionary) {
  const Result<NpyPrefix> parsed = parse(header_of(dictionary));
  return parsed ? Status::success() : parsed.error();
}

// One sentence: begins upper case, ends with a full stop, has no line end and nothing unprintable.
void expect_sentence(const Status& status) {
  EXPECT_EQ(status.code, Code::kInvalidArgument) << status.message;
  ASSERT_FALSE(status.message.empty());
  EXPECT_TRUE(std::isupper(static_cast<unsigned char>(status.message.front()))) << status.message;
  EXPECT_EQ(status.message.back(), '.') << status.message;
  EXPECT_LT(status.message.size(), 300U) << status.message;
  EXPECT_TRUE(std::all_of(status.message.begin(), status.message.end(), [](char c) {
    return c >= ' ' && c <= '~';
  })) << status.message;
}

TEST(Npy, EveryDtypeInEveryVersion) {
  const std::pair<std::string_view, Dtype> kinds[] = {
      {"<f2", Dtype::kFloat16}, {"<f4", Dtype::kFloat32}, {"<f8", Dtype::kFloat64},
      {"|i1", Dtype::kInt8},    {"<i1", Dtype::kInt8},    {"<i4", Dtype::kInt32},
      {"<i8", Dtype::kInt64},   {"=f4", Dtype::kFloat32}, {"=i8", Dtype::kInt64}};
  for (const auto& [descriptor, dtype] : kinds) {
    for (const int version : {1, 2, 3}) {
      const std::string text =
          header_of(dictionary_of("'" + std::string(descriptor) + "'"), version);
      const Result<NpyPrefix> parsed = parse(text + "data beyond the header");
      ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
      ASSERT_TRUE(parsed->header.has_value());
      EXPECT_EQ(*parsed->header, (NpyHeader{dtype, 3, 4, false, text.size()}));
      EXPECT_EQ(parsed->header->data_bytes(), 12 * dtype_bytes(dtype));
    }
  }
}

TEST(Npy, KeysInAnyOrderAndLooseSpace) {
  const Result<NpyPrefix> parsed =
      parse(header_of("  { \"shape\":( 5 ,7L , ),\n\t'descr':'<f8','fortran_order':True}   \n"));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->header->rows, 5U);
  EXPECT_EQ(parsed->header->columns, 7U);
  EXPECT_TRUE(parsed->header->fortran_order);
}

TEST(Npy, SaysHowMuchItNeeds) {
  const std::string text = header_of(dictionary_of("'<f4'"), 2);
  std::string_view whole = text;
  for (std::size_t size = 0; size < text.size(); ++size) {
    const Result<NpyPrefix> parsed = parse(whole.substr(0, size));
    ASSERT_TRUE(parsed.has_value()) << size << parsed.error().message;
    EXPECT_FALSE(parsed->header.has_value());
    EXPECT_GT(parsed->bytes_needed, size);
    EXPECT_LE(parsed->bytes_needed, text.size());
  }
  EXPECT_TRUE(parse(text)->header.has_value());
}

TEST(Npy, OneSentenceForEachKindThatIsNotANumberHere) {
  const std::pair<std::string_view, std::string_view> kinds[] = {
      {"'|O'", "Python objects"},
      {"'<U12'", "text"},
      {"'|S5'", "byte strings"},
      {"'<c8'", "complex numbers"},
      {"'|b1'", "booleans"},
      {"'<u4'", "unsigned integers"},
      {"'<M8[ns]'", "dates"},
      {"'<m8[s]'", "time spans"},
      {"'|V16'", "raw records"},
      {"'<i2'", "'<i2'"},
      {"'<f16'", "'<f16'"},
      {"'|f4'", "byte order"},
      {"'>f4'", "big-endian"},
      {"'>i8'", "big-endian"},
      {"''", "names no type"},
      {"[('x', '<f4'), ('y', '<i4')]", "structured records"},
      {"('<f4', (2,))", "structured records"}};
  for (const auto& [descriptor, expected] : kinds) {
    const Status status = refusal(dictionary_of(descriptor));
    expect_sentence(status);
    EXPECT_NE(status.message.find(expected), std::string::npos) << status.message;
  }
}

TEST(Npy, ShapesThatAreNoMatrix) {
  EXPECT_NE(refusal(dictionary_of("'<f4'", "(5,)")).hint.find("reshape"), std::string::npos);
  const std::pair<std::string_view, std::string_view> shapes[] = {
      {"()", "0 dimensions"},
      {"(5,)", "one-dimensional"},
      {"(2, 3, 4)", "3 dimensions"},
      {"(-1, 4)", "negative"},
      {"(5)", "tuple"},
      {"[3, 4]", "tuple"},
      {"(3 4)", "does not end"},
      {"(03, 4)", "begins with 0"},
      {"(0x10, 4)", "does not end"},
      {"(1e3, 4)", "does not end"},
      {"(True, 4)", "not a number"},
      {"(18446744073709551616, 4)", "64 bits"},
      {"(99999999999999999999999999, 4)", "64 bits"},
      {"(9223372036854775807, 4)", "the most is"},
      {"(1099511627777, 0)", "the most is"},
      {"(1099511627776, 1099511627776)", "more than a file can hold"},
      {"(1099511627776, 4194304)", "more than a file can hold"}};
  for (const auto& [shape, expected] : shapes) {
    const Status status = refusal(dictionary_of("'<f4'", shape));
    expect_sentence(status);
    EXPECT_NE(status.message.find(expected), std::string::npos) << shape << ": " << status.message;
  }
  // 2^40 x 2^20 of 4 bytes is 2^62: fits. Empty matrices are matrices.
  EXPECT_TRUE(refusal(dictionary_of("'<f4'", "(1099511627776, 1048576)")).ok());
  EXPECT_TRUE(refusal(dictionary_of("'<f4'", "(0, 0)")).ok());
  EXPECT_TRUE(refusal(dictionary_of("'<f4'", "(0, 1099511627776)")).ok());
}

TEST(Npy, DamagedDictionaries) {
  for (const std::string_view text :
       {"", "{", "{}", "[]", "{'descr': '<f4'}", "{'descr' '<f4'}", "{'descr': '<f4'",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)} {",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False 'shape': (3, 4)}",
        "{'descr': '<f4\\x00', 'fortran_order': False, 'shape': (3, 4)}",
        "{'descr': u'<f4', 'fortran_order': False, 'shape': (3, 4)}", "{,}",
        "{'shape': (3, 4), , }", "{'shape': (3,, 4)}", "{'shape': (,)}"})
    expect_sentence(refusal(text));
  expect_sentence(refusal("{'descr': '" + std::string(60'000, 'f') + "'}"));
  expect_sentence(refusal("{'descr': '<f4', 'shape': (" + std::string(30'000, '1') + ")}"));
  std::string many = "{'shape': (";
  for (int i = 0; i < 10'000; ++i) many += "1,";
  expect_sentence(refusal(many + ")}"));
  expect_sentence(refusal(std::string(50'000, '{')));
}

TEST(Npy, BadBeginnings) {
  for (const std::string_view text : {"PK\x03\x04", "x", "\x93NUMPX", "\x93NUM "}) {
    const Result<NpyPrefix> parsed = parse(text);
    ASSERT_FALSE(parsed.has_value());
    expect_sentence(parsed.error());
  }
  for (const int version : {0, 4, 255}) {
    const Result<NpyPrefix> parsed = parse(header_of(dictionary_of("'<f4'"), version));
    ASSERT_FALSE(parsed.has_value());
    expect_sentence(parsed.error());
  }
  // A length of 4 GiB is refused from twelve bytes, before anybody reads on.
  const Result<NpyPrefix> huge =
      parse(std::string("\x93NUMPY\x02\0", 8) + little_endian(0xffffffff, 4));
  ASSERT_FALSE(huge.has_value());
  EXPECT_NE(huge.error().message.find("the most is 1.0 MiB"), std::string::npos)
      << huge.error().message;
}

TEST(Npy, ReadsThroughAPort) {
  const std::string padding(200'000, ' ');
  const std::string text = header_of(padding + dictionary_of("'<f4'"), 2) + std::string(48, 'x');
  std::uint64_t asked = 0;
  const auto reader = [&](std::string_view file) {
    return [&asked, file](std::uint64_t offset, std::span<std::byte> out) -> Status {
      if (offset + out.size() > file.size()) return error(Code::kOutOfRange, "Beyond the file.");
      asked += out.size();
      std::copy_n(bytes_of(file).begin() + static_cast<std::ptrdiff_t>(offset), out.size(),
                  out.begin());
      return Status::success();
    };
  };
  const Result<NpyHeader> header = read_npy_header(text.size(), reader(text));
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->data_offset, text.size() - 48);
  EXPECT_LE(asked, text.size() - 48);  // nothing is read twice

  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{9}, std::size_t{4096},
                                 text.size() - 49, text.size() - 1}) {
    const Result<NpyHeader> cut =
        read_npy_header(size, reader(std::string_view(text).substr(0, size)));
    ASSERT_FALSE(cut.has_value()) << size;
    expect_sentence(cut.error());
    EXPECT_NE(cut.error().message.find("cut short"), std::string::npos) << cut.error().message;
  }
  const Result<NpyHeader> overlong = read_npy_header(text.size() + 1, reader(text + "x"));
  ASSERT_FALSE(overlong.has_value());
  expect_sentence(overlong.error());

  const Result<NpyHeader> broken = read_npy_header(
      1000, [](std::uint64_t, std::span<std::byte>) { return error(Code::kUnavailable, "Gone."); });
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code, Code::kUnavailable);
}

// Whatever the bytes: no crash (the sanitizer presets make that strict), and a sentence or a header
// in bounds.
TEST(Npy, FlippedBytesNeverCrash) {
  std::mt19937_64 random(20261124);
  std::size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = round % 2 == 0 ? write_npy_header(Dtype::kFloat64, 123, 4567, round % 4 == 0)
                                      : header_of(dictionary_of("'<f4'"), 1 + round % 3);
    const int flips = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < flips; ++i) {
      const std::size_t at = random() % text.size();
      // Half of the time something that the grammar knows.
      text[at] = random() % 2 == 0 ? static_cast<char>(random())
                                   : "{}()[]',:\"<>|=0123456789TFL \n\\"[random() % 29];
    }
    if (random() % 4 == 0) text.resize(random() % (text.size() + 1));
    const Result<NpyPrefix> parsed = parse(text);
    if (!parsed) {
      expect_sentence(parsed.error());
      ++refused;
      continue;
    }
    if (!parsed->header) {
      EXPECT_GT(parsed->bytes_needed, text.size());
      continue;
    }
    EXPECT_LE(parsed->header->data_offset, text.size());
    EXPECT_LE(parsed->header->rows, kNpyDimensionMax);
    const NpyHeader& header = *parsed->header;
    if (header.columns != 0) {  // the product has not wrapped
      EXPECT_EQ(header.data_bytes() / dtype_bytes(header.dtype) / header.columns, header.rows);
    }
    EXPECT_LT(header.file_bytes(), std::uint64_t{1} << 63);
  }
  EXPECT_GT(refused, 10'000U);
}

TEST(Npy, WritesWhatItReads) {
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kFloat32, Dtype::kFloat64, Dtype::kInt8,
                            Dtype::kInt32, Dtype::kInt64}) {
    for (const std::uint64_t rows : {std::uint64_t{0}, std::uint64_t{1}, kNpyDimensionMax}) {
      const std::string text = write_npy_header(dtype, rows, 99'999, true);
      EXPECT_EQ(text.size() % 64, 0U);
      const Result<NpyPrefix> parsed = parse(text);
      ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
      EXPECT_EQ(*parsed->header, (NpyHeader{dtype, rows, 99'999, true, text.size()}));
    }
  }
}

}  // namespace
}  // namespace overwinter::formats
