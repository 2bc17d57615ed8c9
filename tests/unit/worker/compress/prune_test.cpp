#include "worker/compress/prune.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/compress_reference.h"

namespace overwinter::worker {
namespace {

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

double removed(const Floats& from, const Floats& to) {
  return squared_norm(from) - squared_norm(to);
}

TEST(PruneMagnitude, IsTheTwinsWhateverTheTeamAndRemovesNoMoreThanItsShare) {
  for (const std::uint32_t threads : {1U, 2U, 5U}) {
    ThreadTeam team(threads);
    for (const std::size_t count : kCounts) {
      for (const Floats& values : {normal_values(count, 1), odd_values(count, 2),
                                   Floats(count, -0.25F), normal_values(count, 3, 1e-41F)}) {
        for (const double fraction : {0.0, 0.1, 0.5, 0.9, 1.0}) {
          Floats to(count, 7.0F);
          const Shape shape{count};
          const auto zeros = prune_magnitude(team, tensor_of(values, shape), fraction, to);
          ASSERT_TRUE(zeros.has_value()) << zeros.error().message;
          ASSERT_EQ(*zeros, static_cast<std::size_t>(fraction * static_cast<double>(count) + 0.5));
          Floats slow(count);
          prune_magnitude_slowly(values, *zeros, slow);
          ASSERT_TRUE(same_bits(to, slow)) << threads << " " << count << " " << fraction;
          EXPECT_GE(std::ranges::count(to, 0.0F), static_cast<std::ptrdiff_t>(*zeros));
          const double all = squared_norm(values);
          EXPECT_LE(removed(values, to), static_cast<double>(*zeros) /
                                             std::max<double>(1, static_cast<double>(count)) * all *
                                             (1 + 1e-12));
        }
      }
    }
  }
}

TEST(PruneMagnitude, InPlaceIsTheSame) {
  ThreadTeam team(2);
  const Floats values = normal_values(100'000, 5);
  Floats apart(values.size());
  Floats in_place = values;
  const Shape shape{values.size()};
  ASSERT_TRUE(prune_magnitude(team, tensor_of(values, shape), 0.5, apart).has_value());
  ASSERT_TRUE(prune_magnitude(team, tensor_of(in_place, shape), 0.5, in_place).has_value());
  EXPECT_TRUE(same_bits(apart, in_place));
}

TEST(PruneMagnitude, RefusesBeforeItWrites) {
  ThreadTeam team(2);
  Floats values = normal_values(100'000, 6);
  values[4321] = -std::numeric_limits<float>::infinity();
  const Shape shape{100, 1000};
  for (const double fraction : {0.0, 0.5}) {
    Floats to(values.size(), 7.0F);
    const auto refused = prune_magnitude(team, tensor_of(values, shape), fraction, to);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().field, "h.0.weight");
    EXPECT_NE(refused.error().message.find("infinity at [4, 321]"), std::string::npos);
    EXPECT_EQ(std::ranges::count(to, 7.0F), 100'000);
  }
  values[4321] = 0;
  Floats to(values.size());
  for (const double fraction : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(prune_magnitude(team, tensor_of(values, shape), fraction, to).error().code,
              Code::kInvalidArgument);
  }
  to.pop_back();
  EXPECT_FALSE(prune_magnitude(team, tensor_of(values, shape), 0.5, to).has_value());
}

TEST(PruneFours, IsTheTwinsAndKeepsTheLargerHalf) {
  for (const std::uint32_t threads : {1U, 2U, 5U}) {
    ThreadTeam team(threads);
    for (const std::size_t count : kCounts) {
      if (count % 4 != 0) continue;
      for (const Floats& values : {normal_values(count, 1), odd_values(count, 2)}) {
        Floats to(count);
        Floats slow(count);
        const Shape shape{count / 4, 4};
        ASSERT_TRUE(prune_2_of_4(team, tensor_of(values, shape), to).ok());
        prune_2_of_4_slowly(values, slow);
        ASSERT_TRUE(same_bits(to, slow)) << threads << " " << count;
        for (std::size_t i = 0; i < count; i += 4)
          ASSERT_GE(std::count(to.begin() + static_cast<std::ptrdiff_t>(i),
                               to.begin() + static_cast<std::ptrdiff_t>(i) + 4, 0.0F),
                    2);
        EXPECT_LE(removed(values, to), squared_norm(values) / 2);
        Floats in_place = values;
        ASSERT_TRUE(prune_2_of_4(team, tensor_of(in_place, shape), in_place).ok());
        EXPECT_TRUE(same_bits(in_place, slow));
      }
    }
  }
}

TEST(PruneFours, RefusesRowsThatAreNoFoursAndWhatIsNotFinite) {
  ThreadTeam team(2);
  Floats values = normal_values(120'000, 7);
  Floats to(values.size());
  EXPECT_EQ(prune_2_of_4(team, tensor_of(values, {20'000, 6}), to).field, "h.0.weight");
  EXPECT_EQ(prune_2_of_4(team, tensor_of({1}, {}), std::span(to).first(1)).code,
            Code::kInvalidArgument);
  values[119'998] = std::numeric_limits<float>::quiet_NaN();
  for (const bool in_place : {false, true}) {
    Floats copy = values;
    const Status refused =
        prune_2_of_4(team, tensor_of(copy, {100, 1200}), in_place ? std::span(copy) : to);
    EXPECT_EQ(refused.code, Code::kInvalidArgument);
    EXPECT_NE(refused.message.find("NaN at [99, 1198]"), std::string::npos) << refused.message;
  }
}

}  // namespace
}  // namespace overwinter::worker
