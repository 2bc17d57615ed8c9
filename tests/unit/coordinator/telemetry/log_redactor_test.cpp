#include "coordinator/telemetry/log_redactor.h"

#include <gtest/gtest.h>

namespace overwinter::telemetry {
namespace {

std::string cleaned(LogRedactor& redactor, std::string line) {
  redactor.clean(line);
  return line;
}

TEST(LogRedactor, TakesSecretsOut) {
  LogRedactor redactor;
  const std::string token = "ow_" + std::string(43, 'A');
  EXPECT_EQ(cleaned(redactor, "loss 0.5"), "loss 0.5");
  EXPECT_EQ(cleaned(redactor, "token " + token + " there"), "token [redacted] there");
  EXPECT_EQ(cleaned(redactor, "Authorization: Bearer abcdefghijklmnop"),
            "Authorization: Bearer [redacted]");
  EXPECT_EQ(cleaned(redactor, "window_size_bytes"), "window_size_bytes");
}

TEST(LogRedactor, AKeyOfSeveralLinesGoesWhole) {
  LogRedactor redactor;
  EXPECT_EQ(cleaned(redactor, "-----BEGIN RSA PRIVATE KEY-----"), "[redacted]");
  EXPECT_EQ(cleaned(redactor, "c2VjcmV0IGxpbmUgb25l"), "[redacted]");
  EXPECT_EQ(cleaned(redactor, "-----END RSA PRIVATE KEY-----"), "[redacted]");
  EXPECT_EQ(cleaned(redactor, "step 2"), "step 2");
}

// A line that only looks like the beginning does not silence a rank for ever.
TEST(LogRedactor, ABeginningWithoutAnEndIsBounded) {
  LogRedactor redactor;
  (void)cleaned(redactor, "-----BEGIN PRIVATE KEY-----");
  int hidden = 0;
  while (cleaned(redactor, "line") != "line") ASSERT_LT(++hidden, 1000);
  EXPECT_EQ(hidden, 200);
}

}  // namespace
}  // namespace overwinter::telemetry
