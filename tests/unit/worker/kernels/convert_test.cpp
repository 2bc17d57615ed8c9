// Rows against the one-number conversion: the same bits.
#include "worker/kernels/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

namespace overwinter::worker {
namespace {

template <class T>
void every_number_widens_alike() {
  std::vector<T> all(0x10000);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<std::uint16_t>(i);
  for (const std::size_t count : {std::size_t{0}, std::size_t{7}, std::size_t{0x10000 - 3}}) {
    std::vector<float> got(all.size(), -7);
    widen(all.data() + 3, count, got.data());  // at an odd address
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]),
                std::bit_cast<std::uint32_t>(to_float(all[i + 3])));
    }
    EXPECT_EQ(got[count], -7);
  }
}

TEST(Convert, EveryNumberWidensAsOneDoes) {
  every_number_widens_alike<BFloat16>();
  every_number_widens_alike<Float16>();
  std::vector<std::int8_t> bytes(256);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::int8_t>(i);
  std::vector<float> got(256);
  widen(bytes.data(), 253, got.data());
  for (std::size_t i = 0; i < 253; ++i) EXPECT_EQ(got[i], static_cast<float>(bytes[i]));
}

TEST(Convert, NumbersOfAllKindsNarrowAsOneDoes) {
  std::mt19937 random(5);
  std::vector<float> from(300'001);
  for (float& x : from) {  // NaN, infinity, subnormal among them
    x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  }
  for (std::size_t i = 0; i < from.size(); i += 3) from[i] = std::ldexp(from[i], -20);
  std::vector<BFloat16> wide(from.size());
  std::vector<Float16> half(from.size());
  narrow(from.data(), from.size(), wide.data());
  narrow(from.data(), from.size(), half.data());
  for (std::size_t i = 0; i < from.size(); ++i) {
    ASSERT_EQ(wide[i], to_bfloat16(from[i])) << from[i];
    ASSERT_EQ(half[i], to_float16(from[i])) << from[i];
  }
}

}  // namespace
}  // namespace overwinter::worker
