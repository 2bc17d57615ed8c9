#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace overwinter {
namespace {

TEST(Bytes, AreWrittenForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(64 * kMiB), "64.0 MiB");
  EXPECT_EQ(format_bytes(kGiB + kGiB / 2), "1.5 GiB");
  EXPECT_EQ(format_bytes(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(kGiB - 1), "1.0 GiB");
}

TEST(Bytes, AreReadWithTheirUnit) {
  EXPECT_EQ(*parse_bytes("64MiB"), 64 * kMiB);
  EXPECT_EQ(*parse_bytes("4 GiB"), 4 * kGiB);
  EXPECT_EQ(*parse_bytes("1.5GiB"), kGiB + kGiB / 2);
  EXPECT_EQ(*parse_bytes("200MB"), 200'000'000u);
  EXPECT_EQ(*parse_bytes("4096B"), 4096u);
  EXPECT_EQ(*parse_bytes("0B"), 0u);
}

TEST(Bytes, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "64", "MiB", "-1MiB", "1mib", "1 M", "infGiB", "nanB", "1e30GiB",
                           "100000000TiB", "1MiBx", "1 MiB ", "0x10B"}) {
    EXPECT_FALSE(parse_bytes(text).has_value()) << text;
  }
}

TEST(Digest, IsReadAndWrittenAsHexadecimalText) {
  // SHA-256 of the empty string, as every table has it.
  const std::string empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const Result<Digest> digest = parse_digest(empty);
  ASSERT_TRUE(digest.has_value());
  EXPECT_EQ(digest->bytes.front(), 0xe3);
  EXPECT_EQ(digest->bytes.back(), 0x55);
  EXPECT_EQ(to_hex(*digest), empty);
  EXPECT_FALSE(parse_digest(empty.substr(1)).has_value());
  EXPECT_FALSE(parse_digest(empty + "0").has_value());
  EXPECT_FALSE(parse_digest("g" + empty.substr(1)).has_value());
  EXPECT_FALSE(parse_digest("").has_value());
}

TEST(Digest, HexadecimalTextHasTwoDigitsAByte) {
  const std::vector<std::uint8_t> bytes{0x00, 0x0f, 0xf0, 0xff};
  EXPECT_EQ(to_hex(bytes), "000ff0ff");
}

}  // namespace
}  // namespace overwinter
