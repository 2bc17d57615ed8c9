#include "worker/compress/tensor.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/shares.h"
#include "worker/kernels/gemm_split.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kHuge = std::size_t{1} << 40U;

TEST(Tensor, ItsShapeIsCountedWithoutOverflow) {
  EXPECT_EQ(count_of("w", Shape{}).value(), 1U);
  EXPECT_EQ(count_of("w", Shape{3, 4, 5}).value(), 60U);
  EXPECT_EQ(count_of("w", Shape{kHuge, kHuge, 0}).value(), 0U);
  const auto refused = count_of("w", Shape{kHuge, kHuge});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().field, "w");
  EXPECT_TRUE(check_shape("w", Shape{2, 3}, 6).ok());
  EXPECT_EQ(check_shape("w", Shape{2, 3}, 7).field, "w");
}

TEST(Tensor, APlaceIsSaidByItsIndex) {
  EXPECT_EQ(index_text(Shape{}, 0), "[]");
  EXPECT_EQ(index_text(Shape{7}, 5), "[5]");
  EXPECT_EQ(index_text(Shape{3, 4, 5}, 2 * 20 + 3 * 5 + 4), "[2, 3, 4]");
}

TEST(Tensor, TheFirstValueThatIsNotFiniteIsNamed) {
  ThreadTeam team(3);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Floats values = normal_values(200'000, 1);
    const Shape shape{400, 500};
    EXPECT_TRUE(check_finite(team, tensor_of(values, shape)).ok());
    values[199'999] = bad;
    values[123'456] = bad;
    const Status refused = check_finite(team, tensor_of(values, shape));
    EXPECT_EQ(refused.code, Code::kInvalidArgument);
    EXPECT_EQ(refused.field, "h.0.weight");
    EXPECT_EQ(refused.message, std::string("the tensor h.0.weight holds ") +
                                   (std::isnan(bad) ? "NaN" : "infinity") +
                                   " at [246, 456]: what is not finite is not compressed");
  }
  EXPECT_TRUE(check_finite(team, tensor_of({}, {0, 7})).ok());
}

TEST(Shares, CoverEverythingOnceWhateverTheTeam) {
  for (const std::uint32_t threads : {1U, 2U, 5U}) {
    ThreadTeam team(threads);
    for (const std::size_t count : kCounts) {
      for (const std::size_t step : {std::size_t{1}, kShareStep}) {
        for (const std::size_t weight : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}}) {
          std::vector<GemmShare> shares(threads);
          for_each_share(
              team, count, step,
              [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                EXPECT_EQ(shares[thread].size(), 0U);
                shares[thread] = {begin, end};
              },
              weight);
          std::size_t at = 0;
          for (const GemmShare& share : shares) {
            if (share.size() == 0) continue;
            EXPECT_EQ(share.begin, at);
            EXPECT_EQ(share.begin % step, 0U);
            at = share.end;
          }
          EXPECT_EQ(at, count);
        }
      }
    }
  }
}

}  // namespace
}  // namespace overwinter::worker
