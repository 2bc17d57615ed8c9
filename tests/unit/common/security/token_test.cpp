#include "common/security/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/security/encoding.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using testing::HasSubstr;

TEST(TokenTest, TokensHaveTheirShapeAndDiffer) {
  const std::string token = make_token();
  EXPECT_EQ(token.size(), 46u);
  EXPECT_TRUE(token.starts_with("ow_"));
  EXPECT_TRUE(looks_like_token(token));
  EXPECT_NE(token, make_token());
  EXPECT_EQ(token_hash(token), sha256(token));
  for (const std::string& other : {std::string(), token.substr(1), token + "A", token.substr(0, 45),
                                   "ow_" + std::string(43, '!'), "ow1" + token.substr(3)})
    EXPECT_FALSE(looks_like_token(other)) << other;
}

LoginLine example() {
  return {"10.0.0.7:7600", sha256("root"), make_login_code()};
}

TEST(LoginLineTest, ComesBack) {
  for (const char* address : {"10.0.0.7:7600", "[2001:db8::1]:7600", "cluster.example:443"}) {
    LoginLine line = example();
    line.address = address;
    const std::string text = must(encode_login_line(line));
    EXPECT_TRUE(text.starts_with("ow1_"));
    EXPECT_EQ(text.find_first_of(" '\"$\\"), std::string::npos) << "can be pasted anywhere";
    EXPECT_EQ(must(decode_login_line(text)), line);
    EXPECT_EQ(must(decode_login_line("  " + text + "\r\n")), line);
  }
}

TEST(LoginLineTest, EveryCutAndEveryChangeIsNoticed) {
  const std::string text = must(encode_login_line(example()));
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(decode_login_line(text.substr(0, length))) << length;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_login_line(changed)) << at;
  }
}

TEST(LoginLineTest, SaysWhatItIsInstead) {
  EXPECT_THAT(decode_login_line(make_token()).error().message, HasSubstr("this is a token"));
  EXPECT_THAT(decode_login_line("hello").error().message, HasSubstr("begins with ow1_"));
  EXPECT_THAT(decode_login_line("ow1_" + std::string(100'000, 'A')).error().message,
              HasSubstr("too long"));
  const std::string text = must(encode_login_line(example()));
  EXPECT_THAT(decode_login_line(text.substr(0, text.size() - 4)).error().message,
              HasSubstr("incomplete"));
}

TEST(LoginLineTest, BadPartsAreRefused) {
  LoginLine line = example();
  line.code = "short";
  EXPECT_EQ(encode_login_line(line).error().field, "code");
  for (const std::string& address : {std::string(), std::string("nohost"), std::string("a b:1"),
                                     std::string("a:1\n"), std::string(300, 'a') + ":1"}) {
    line = example();
    line.address = address;
    EXPECT_EQ(encode_login_line(line).error().field, "address") << address;
  }
}

}  // namespace
}  // namespace overwinter
