#include "client/cli/example_prices.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "common/spec/price_book.h"

namespace overwinter::cli {
namespace {

TEST(ExamplePrices, AreTheFileThatShips) {
  // From this file's own place: tests/unit/client/cli.
  std::string path = __FILE__;
  path = path.substr(0, path.rfind("tests/unit/")) + "deploy/examples/prices.yaml";
  std::ifstream in(path);
  ASSERT_TRUE(in) << path;
  const std::string shipped((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(shipped, kExamplePrices);
  auto book = spec::parse_price_book(kExamplePrices);
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_EQ(book->entries(0).per_hour().amount_micros(), 360'000);
}

}  // namespace
}  // namespace overwinter::cli
