#include "common/spec/price_book.h"

#include <gtest/gtest.h>

namespace overwinter::spec {
namespace {

TEST(PriceBook, ReadsWhatItSays) {
  auto book = parse_price_book(
      "currency: USD\nprices:\n"
      "  - { from: 2026-11-01, device: cpu, supplier: any, spot: false, per_hour: 0.36, minimum: "
      "60s }\n"
      "  - { from: 2026-12-01T06:00:00Z, device: H100, supplier: acme, spot: true, per_hour: 1.89 "
      "}\n");
  ASSERT_TRUE(book) << book.error().message;
  ASSERT_EQ(book->entries_size(), 2);
  EXPECT_EQ(book->currency_code(), "USD");
  EXPECT_EQ(book->entries(0).per_hour().amount_micros(), 360'000);
  EXPECT_EQ(book->entries(0).from().seconds(), 1793491200);  // date -u -d 2026-11-01 +%s
  EXPECT_EQ(book->entries(0).minimum(), "60s");
  EXPECT_EQ(book->entries(1).supplier(), "acme");
  EXPECT_TRUE(book->entries(1).spot());
}

TEST(PriceBook, NamesWhatIsWrong) {
  const struct {
    const char* text;
    const char* field;
  } cases[] = {
      {"currency: USD\nprices: [{from: 2026-11-01, device: cpu}]", "prices[0].per_hour"},
      {"currency: USD\nprices: [{from: 2026-11-01, device: cpu, per_hour: -1}]",
       "prices[0].per_hour"},
      {"currency: USD\nprices: [{from: yesterday, device: cpu, per_hour: 1}]", "prices[0].from"},
      {"currency: usd\nprices: []", "currency"},
      {"prices: []", "currency"},
      {"currency: USD\nprices: 3", "prices"},
      {"currency: USD\nprices: [{from: 2026-11-01, device: cpu, per_hour: 1, spott: true}]",
       "prices[0]"},
      {"currency: USD\nprices: &x [*x]", "yaml"},
      {"[", "yaml"},
      {"", "prices"},
  };
  for (const auto& c : cases) {
    auto book = parse_price_book(c.text);
    ASSERT_FALSE(book) << c.text;
    EXPECT_EQ(book.error().code, Code::kInvalidArgument) << c.text;
    EXPECT_EQ(book.error().field, c.field) << c.text << ": " << book.error().message;
  }
}

}  // namespace
}  // namespace overwinter::spec
