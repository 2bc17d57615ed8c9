#include "common/security/redact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/security/capability.h"
#include "common/security/certificate.h"
#include "common/security/encoding.h"
#include "common/security/join_file.h"
#include "common/security/token.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

using test::must;
using testing::HasSubstr;
using testing::Not;

TEST(RedactTest, TokensGoWhereverTheyStand) {
  const std::string token = make_token();
  EXPECT_EQ(redact(token), "[redacted]");
  EXPECT_EQ(redact("token=" + token + ", next"), "token=[redacted], next");
  EXPECT_EQ(redact("{\"token\":\"" + token + "\"}"), "{\"token\":\"[redacted]\"}");
  EXPECT_EQ(redact("The token is " + token + "."), "The token is [redacted].");
  EXPECT_EQ(redact("x" + token), "x[redacted]") << "glued to a word";
  EXPECT_EQ(redact(token + "\n" + token), "[redacted]\n[redacted]");
  EXPECT_EQ(redact("cut: " + token.substr(0, 20)), "cut: [redacted]");
  EXPECT_EQ(redact("authorization: Bearer " + token), "authorization: Bearer [redacted]");
  EXPECT_EQ(redact("BEARER some.other+token/of~theirs"), "BEARER [redacted]");
}

TEST(RedactTest, LoginLinesAndCapabilitiesGo) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(redact(must(encode_login_line({"a:1", sha256("x"), make_login_code()}))), "[redacted]");
  const CapabilitySigner signer = must(CapabilitySigner::open(folder / "key"));
  const std::string capability = must(signer.sign({"1", "p", "j", 1, {sha256("x")}, true, Time{}}));
  EXPECT_EQ(redact("cap " + capability + " end"), "cap [redacted] end");
}

TEST(RedactTest, PrivateKeysGoInEachForm) {
  const std::string key = must(generate_key());
  EXPECT_EQ(redact("a\n" + key + "b"), "a\n[redacted]\nb");
  EXPECT_EQ(redact(key.substr(0, key.size() / 2)), "[redacted]") << "cut before its end";
  JoinFile file;
  file.leaf.key_pem = key;
  const std::string json = encode_join_file(file);
  const std::string shown = redact(json);
  EXPECT_THAT(shown, HasSubstr("\"keyPem\": \"[redacted]"));
  EXPECT_THAT(shown, HasSubstr("\"expires\"")) << "what follows the key stays";
  const std::string body = key.substr(key.find('\n') + 1, 64);
  EXPECT_THAT(shown, Not(HasSubstr(body)));
  EXPECT_EQ(redact("line: " + body), "line: [redacted]") << "without its header";
  EXPECT_EQ(redact("-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n"),
            "[redacted]\n");
}

TEST(RedactTest, OrdinaryTextStays) {
  for (const char* text :
       {"", "overwinter_jobs_total 7", "window_size_bytes", "--window_size=12", "ow_", "ow1_ line",
        "a login line begins with ow1_", "Bearer token", "the bearer of this",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "now_and_then_we_say_so",
        "job licence-gpt-7k2f9 on worker 17",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"})
    EXPECT_EQ(redact(text), text);
  const std::string bytes("\0\xff\n-----BEGIN ", 14);
  EXPECT_EQ(redact(bytes), bytes);
}

TEST(RedactTest, IsLinear) {
  // 8 MiB of beginnings that never become a secret: a quadratic search would not end within the
  // test's limit.
  std::string text;
  while (text.size() < 8 * 1024 * 1024) text += "-----BEGIN ow_ow1_ bearer MIGH ";
  EXPECT_EQ(redact(text).size(), text.size());
}

}  // namespace
}  // namespace overwinter
