#include "common/security/grpc_log.h"

#include <grpc/support/log.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "common/security/token.h"

namespace overwinter {
namespace {

using std::chrono::seconds;

TEST(LineLimitTest, TenAMinuteAndTheRestIsCounted) {
  LineLimit limit;
  std::uint64_t dropped = 99;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.take(seconds(1000 + i), dropped));
  EXPECT_EQ(dropped, 0u);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(limit.take(seconds(1010), dropped));
  EXPECT_FALSE(limit.take(seconds(1059), dropped));
  EXPECT_TRUE(limit.take(seconds(1060), dropped));
  EXPECT_EQ(dropped, 1001u);
  EXPECT_TRUE(limit.take(seconds(1060), dropped));
  EXPECT_EQ(dropped, 0u);
}

// In processes of their own: the function is gRPC's global one.
TEST(GrpcLogDeathTest, LinesAreBoundedAndRedactedOrSilent) {
  const auto speak = [](GrpcLog mode) {
    route_grpc_log(mode);
    for (int i = 0; i < 10; ++i) gpr_log(GPR_ERROR, "line %d %s", i, make_token().c_str());
    for (int i = 0; i < 5; ++i) gpr_log(GPR_ERROR, "too much");
    std::_Exit(0);
  };
  EXPECT_EXIT(speak(GrpcLog::kToOurLog), testing::ExitedWithCode(0), "line 9 \\[redacted\\]\n$");
  EXPECT_EXIT(speak(GrpcLog::kQuiet), testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace overwinter
