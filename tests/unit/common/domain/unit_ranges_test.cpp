#include "common/domain/unit_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace overwinter {
namespace {

UnitRanges of(std::initializer_list<UnitRange> ranges) {
  UnitRanges out;
  for (const UnitRange& range : ranges) out.add(range);
  return out;
}

std::set<UnitNumber> numbers(const UnitRanges& ranges) {
  std::set<UnitNumber> out;
  for (const UnitRange& range : ranges.ranges()) {
    for (UnitNumber u = range.begin; u < range.end; ++u) out.insert(u);
  }
  return out;
}

TEST(UnitRanges, TouchingRangesBecomeOne) {
  EXPECT_EQ(of({{0, 3}, {3, 5}}), of({{0, 5}}));
  EXPECT_EQ(of({{0, 2}, {4, 6}, {1, 5}}), of({{0, 6}}));
  EXPECT_EQ(of({{5, 5}}), UnitRanges());
}

TEST(UnitRanges, RemovingFromTheMiddleLeavesBothEnds) {
  UnitRanges units(UnitRange{0, 10});
  units.remove({3, 7});
  EXPECT_EQ(units, of({{0, 3}, {7, 10}}));
  EXPECT_EQ(units.count(), 6U);
  EXPECT_TRUE(units.contains(UnitRange{7, 10}));
  EXPECT_FALSE(units.contains(UnitRange{2, 4}));
}

// Against std::set, over thousands of random operations.
TEST(UnitRanges, AgreesWithASetOfNumbers) {
  std::mt19937 random(7);
  UnitRanges units;
  std::set<UnitNumber> twin;
  for (int i = 0; i < 5000; ++i) {
    const UnitNumber begin = random() % 60;
    const UnitRange range{begin, begin + random() % 12};
    switch (random() % 4) {
      case 0:
        units.add(range);
        for (UnitNumber u = range.begin; u < range.end; ++u) twin.insert(u);
        break;
      case 1:
        units.remove(range);
        for (UnitNumber u = range.begin; u < range.end; ++u) twin.erase(u);
        break;
      case 2: {
        const auto taken = numbers(units.take_front(range.size()));
        ASSERT_EQ(taken.size(), std::min<std::size_t>(range.size(), twin.size()));
        for (const UnitNumber u : taken) {
          ASSERT_EQ(u, *twin.begin());
          twin.erase(twin.begin());
        }
        break;
      }
      default: {
        const auto taken = numbers(units.take_back(range.size()));
        ASSERT_EQ(taken.size(), std::min<std::size_t>(range.size(), twin.size()));
        for (const UnitNumber u : taken) twin.erase(u);
        break;
      }
    }
    ASSERT_EQ(numbers(units), twin);
    ASSERT_EQ(units.count(), twin.size());
    const UnitRanges other(range);
    bool touched = false;
    for (UnitNumber u = range.begin; u < range.end; ++u) touched = touched || twin.count(u) > 0;
    ASSERT_EQ(units.intersects(range), touched);
    ASSERT_EQ(units.intersection(other).empty(), !touched);
    ASSERT_EQ(units.complement(80).count() + twin.size(), 80U);
  }
}

}  // namespace
}  // namespace overwinter
