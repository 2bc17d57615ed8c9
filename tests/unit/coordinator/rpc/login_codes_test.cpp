#include "coordinator/rpc/login_codes.h"

#include <gtest/gtest.h>

namespace overwinter::rpc {
namespace {

TEST(LoginCodesTest, GoodOnceForFifteenMinutes) {
  LoginCodes codes;
  const Time start = time_from_unix_ms(1'000'000);
  const auto code = codes.add("ow_secret", TokenId(5), start);
  ASSERT_TRUE(code.has_value());
  const auto taken = codes.take(*code, start + std::chrono::minutes(14));
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->token, "ow_secret");
  EXPECT_EQ(taken->id, TokenId(5));
  EXPECT_EQ(codes.take(*code, start).error().code, Code::kUnauthenticated) << "used";

  const auto late = codes.add("ow_other", TokenId(6), start);
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(codes.take(*late, start + kLoginCodeLife).error().code, Code::kUnauthenticated);
}

TEST(LoginCodesTest, BoundedAndOldOnesMakeRoom) {
  LoginCodes codes;
  const Time start = time_from_unix_ms(1'000'000);
  for (std::size_t i = 0; i < kLoginCodesMax; ++i) {
    ASSERT_TRUE(codes.add("ow_x", TokenId(1), start).has_value());
  }
  EXPECT_EQ(codes.add("ow_x", TokenId(1), start).error().code, Code::kResourceExhausted);
  EXPECT_TRUE(codes.add("ow_x", TokenId(1), start + kLoginCodeLife).has_value());
}

}  // namespace
}  // namespace overwinter::rpc
