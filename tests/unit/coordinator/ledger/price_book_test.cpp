#include "coordinator/ledger/price_book.h"

#include <gtest/gtest.h>

#include "coordinator/ledger/charge.h"

namespace overwinter::ledger {
namespace {

Time at(std::int64_t ms) {
  return time_from_unix_ms(ms);
}

TEST(PriceBook, TheLatestThatHasComeAppliesAndANamedSupplierGoesBeforeAny) {
  PriceBook book;
  book.entries = {{at(100), "cpu", "any", false, Money{1}, {}},
                  {at(200), "cpu", "any", false, Money{2}, {}},
                  {at(150), "cpu", "acme", false, Money{3}, {}},
                  {at(0), "cpu", "any", true, Money{4}, {}}};
  EXPECT_FALSE(book.find(at(99), "cpu", "", false));
  EXPECT_EQ(book.find(at(100), "cpu", "", false)->per_hour, Money{1});
  EXPECT_EQ(book.find(at(199), "cpu", "other", false)->per_hour, Money{1});
  EXPECT_EQ(book.find(at(200), "cpu", "other", false)->per_hour, Money{2});
  EXPECT_EQ(book.find(at(149), "cpu", "acme", false)->per_hour, Money{1});
  EXPECT_EQ(book.find(at(500), "cpu", "acme", false)->per_hour, Money{3});
  EXPECT_EQ(book.find(at(500), "cpu", "", true)->per_hour, Money{4});
  EXPECT_FALSE(book.find(at(500), "H100", "", false));
  EXPECT_EQ(book.next_change(at(100)), at(150));
  EXPECT_EQ(book.next_change(at(150)), at(200));
  EXPECT_FALSE(book.next_change(at(200)));
}

TEST(PriceBook, OfTwoThatBeginTogetherTheLaterLineAppliesAndNoSupplierIsAny) {
  PriceBook book;
  book.entries = {{at(100), "cpu", "any", false, Money{1}, {}},
                  {at(100), "cpu", "", false, Money{2}, {}},
                  {at(50), "cpu", "any", false, Money{3}, {}}};
  EXPECT_EQ(book.find(at(100), "cpu", "acme", false)->per_hour, Money{2});
  EXPECT_EQ(book.find(at(99), "cpu", "acme", false)->per_hour, Money{3});
  EXPECT_EQ(book.next_change(at(0)), at(50)) << "in any order";
  // Nobody's own price is for a machine that names no supplier.
  book.entries = {{at(0), "cpu", "acme", false, Money{4}, {}}};
  EXPECT_FALSE(book.find(at(1), "cpu", "", false));
  EXPECT_FALSE(book.find(at(1), "cpu", "other", false));
  EXPECT_EQ(PriceEntry{}.minimum, Duration(0)) << "no least time unless the book says one";
}

TEST(Charge, IsExactAndRoundsSumsSoThatListsAddUp) {
  // A third of an hour at one micro-unit, three times, is one micro-unit: no part is rounded away.
  const Charge third = charge_for(Money{1}, Duration(1'200'000), 1'000'000);
  EXPECT_EQ(rounded(third), Money{0});
  EXPECT_EQ(rounded(third + third + third), Money{1});
  EXPECT_EQ(charge_for(Money{3'600'000}, Duration(1), 500'000), Charge{kUnitsPerMicro / 2});
  EXPECT_EQ(rounded(Charge{kUnitsPerMicro / 2}), Money{1});
  EXPECT_EQ(rounded(Charge{kUnitsPerMicro / 2 - 1}), Money{0});
  // Corrections are rounded as what they correct.
  EXPECT_EQ(rounded(Charge{-kUnitsPerMicro / 2}), Money{-1});
  EXPECT_EQ(rounded(Charge{1 - kUnitsPerMicro / 2}), Money{0});
  // The largest price for a year on a whole device is far inside 128 bits.
  const Charge year = charge_for(Money{9'000'000'000'000'000}, Duration(31'536'000'000), 1'000'000);
  EXPECT_GT(year, Charge{});
}

}  // namespace
}  // namespace overwinter::ledger
