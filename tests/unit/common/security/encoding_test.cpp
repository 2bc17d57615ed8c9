#include "common/security/encoding.h"

#include <gtest/gtest.h>

#include "common/security/random.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

TEST(EncodingTest, Base64urlOfTheStandardsExamples) {
  // RFC 4648 §10, padding taken away.
  const std::pair<const char*, const char*> examples[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"}};
  for (const auto& [plain, encoded] : examples) {
    EXPECT_EQ(base64url_encode(std::string_view(plain)), encoded);
    EXPECT_EQ(test::must(base64url_decode(encoded)), plain);
  }
}

TEST(EncodingTest, EveryLengthComesBack) {
  for (std::size_t length = 0; length < 100; ++length) {
    std::string data(length, '\0');
    fill_random({reinterpret_cast<std::uint8_t*>(data.data()), data.size()});
    EXPECT_EQ(test::must(base64url_decode(base64url_encode(data))), data);
  }
}

TEST(EncodingTest, AValueHasOneSpelling) {
  for (const char* bad :
       {"Z", "Zg==", "Zm9v\n", "Zm+v", "Zm/v", "Zh", "Zm9", "Zm9vY", " Zg", "Z\xc3\xa4"})
    EXPECT_FALSE(base64url_decode(bad)) << bad;
  EXPECT_FALSE(base64url_decode(std::string_view("Zm\0v", 4)));
}

TEST(EncodingTest, Sha256OfTheStandardsExample) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(EncodingTest, ComparisonInConstantTimeComparesAll) {
  EXPECT_TRUE(equal_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_constant_time("secret", "Secret"));
  EXPECT_FALSE(equal_constant_time("secret", "secre"));
  EXPECT_TRUE(equal_constant_time(sha256("a"), sha256("a")));
  EXPECT_FALSE(equal_constant_time(sha256("a"), sha256("b")));
}

TEST(RandomTest, IdsUseTheirAlphabetAndDiffer) {
  const std::string one = random_id(26);
  EXPECT_EQ(one.size(), 26u);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), std::string::npos);
  EXPECT_NE(one, random_id(26));
  std::array<int, 256> seen{};
  for (const char c : random_id(32 * 200)) ++seen[static_cast<unsigned char>(c)];
  for (const char c : std::string_view("0123456789abcdefghjkmnpqrstvwxyz"))
    EXPECT_GT(seen[static_cast<unsigned char>(c)], 100)
        << c;  // 200 expected, 7 standard deviations
}

}  // namespace
}  // namespace overwinter
