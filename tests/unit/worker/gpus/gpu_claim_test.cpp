#include "worker/gpus/gpu_claim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

namespace overwinter::worker::gpus {
namespace {

TEST(GpuClaim, IsHeldByOneUntilItLetsGo) {
  const std::string uuid = "GPU-of-test-" + std::to_string(::getpid());
  std::optional<GpuClaim> held = std::move(*GpuClaim::take(uuid));
  const auto again = GpuClaim::take(uuid);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  EXPECT_NE(again.error().message.find(uuid), std::string::npos);
  EXPECT_TRUE(GpuClaim::take(uuid + "-2").has_value());
  const GpuClaim moved = std::move(*held);
  held.reset();
  EXPECT_FALSE(GpuClaim::take(uuid).has_value()) << "what was moved is still held";
}

TEST(GpuClaim, EndsWithItsHolder) {
  const std::string uuid = "GPU-of-test-b-" + std::to_string(::getpid());
  { const auto held = GpuClaim::take(uuid); }
  EXPECT_TRUE(GpuClaim::take(uuid).has_value());
}

}  // namespace
}  // namespace overwinter::worker::gpus
