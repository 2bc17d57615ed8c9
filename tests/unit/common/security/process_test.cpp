#include "common/security/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>

namespace overwinter {
namespace {

// Each in a process of its own: what is set cannot be taken back.
TEST(ProcessDeathTest, CoreDumpsAreOff) {
  const auto body = [] {
    const bool good = harden_process().ok();
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    const bool off = limit.rlim_cur == 0 && limit.rlim_max == 0 && ::prctl(PR_GET_DUMPABLE) == 0;
    std::_Exit(good && off ? 7 : 1);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(7), "");
}

TEST(ProcessDeathTest, TracingIsRefused) {
  const auto body = [](const char* value) {
    ::setenv("GRPC_TRACE", value, 1);
    const Status status = harden_process();
    std::_Exit(status.code == Code::kFailedPrecondition && status.field == "GRPC_TRACE" ? 7 : 8);
  };
  EXPECT_EXIT(body("all"), testing::ExitedWithCode(7), "");
  EXPECT_EXIT(body(""), testing::ExitedWithCode(8), "");
}

}  // namespace
}  // namespace overwinter
