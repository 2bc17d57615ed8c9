// What every Collective does, as functions that each rank of a gang calls at the same time.
// Included by the suites of its implementations: one process, and one process a rank.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "worker/collective/collective.h"

namespace overwinter::worker::collective_suite {

// Sizes around what implementations cut by: nothing, one, and pieces of 1 MiB with one more or
// less.
inline const std::vector<std::size_t> kSizes = {0,       1,       2,         3,        1000,
                                                262'143, 262'144, 1'048'577, 2'500'001};

template <class T>
std::vector<T> values_of(std::size_t rank, std::size_t count, unsigned seed = 1) {
  std::mt19937 random(seed * 1000 + static_cast<unsigned>(rank));
  std::uniform_real_distribution<T> one(-1, 1);
  std::vector<T> out(count);
  for (T& value : out) value = one(random);
  return out;
}

// The sum over all ranks as each could compute it alone, and how far rounding may be from it.
template <class T>
void expect_sum(const std::vector<T>& got, std::size_t ranks, unsigned seed = 1) {
  std::vector<double> expected(got.size(), 0.0);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto part = values_of<T>(rank, got.size(), seed);
    for (std::size_t i = 0; i < got.size(); ++i) expected[i] += static_cast<double>(part[i]);
  }
  const double allowed = static_cast<double>(ranks * ranks) * std::numeric_limits<T>::epsilon();
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(got[i]), expected[i], allowed) << "element " << i;
  }
}

template <class T>
void sums(Collective& collective) {
  for (const std::size_t size : kSizes) {
    auto values = values_of<T>(collective.rank(), size);
    ASSERT_TRUE(collective.all_reduce_sum(std::span<T>(values)).ok());
    expect_sum(values, collective.size());
  }
}

// Every rank has the bits of rank 0, and they are the same the second time.
inline void same_bits(Collective& collective) {
  for (const std::size_t size : kSizes) {
    auto values = values_of<float>(collective.rank(), size);
    ASSERT_TRUE(collective.all_reduce_sum(std::span<float>(values)).ok());
    auto first = values;
    ASSERT_TRUE(collective.broadcast(std::as_writable_bytes(std::span(first)), 0).ok());
    ASSERT_EQ(std::memcmp(first.data(), values.data(), size * sizeof(float)), 0) << size;
    auto again = values_of<float>(collective.rank(), size);
    auto pending = collective.start_all_reduce_sum(again);
    ASSERT_TRUE(pending);
    ASSERT_TRUE((*pending)->wait().ok());
    auto third = values_of<float>(collective.rank(), size);
    auto second = collective.start_all_reduce_sum(third);
    ASSERT_TRUE(second);
    ASSERT_TRUE((*second)->wait().ok());
    ASSERT_EQ(std::memcmp(again.data(), third.data(), size * sizeof(float)), 0) << size;
  }
}

// Several under way, of all sizes, while ranks call progress() at times of their own and other
// calls come between.
inline void under_way_at_once(Collective& collective) {
  std::mt19937 own(77 + static_cast<unsigned>(collective.rank()));
  for (unsigned round = 1; round <= 3; ++round) {
    std::vector<std::vector<float>> buffers;
    std::vector<std::unique_ptr<Collective::Pending>> pending;
    for (const std::size_t size : kSizes) {
      buffers.push_back(values_of<float>(collective.rank(), size, round));
    }
    for (auto& buffer : buffers) {
      auto begun = collective.start_all_reduce_sum(buffer);
      ASSERT_TRUE(begun);
      pending.push_back(std::move(*begun));
      for (auto n = own() % 50; n > 0; --n) collective.progress();
    }
    std::vector<double> between(5, 1.0);
    ASSERT_TRUE(collective.all_reduce_sum(std::span<double>(between)).ok());
    EXPECT_EQ(between, std::vector<double>(5, static_cast<double>(collective.size())));
    ASSERT_TRUE(collective.barrier().ok());
    while (!pending.empty()) {
      ASSERT_TRUE(pending.back()->wait().ok());  // the last first
      pending.pop_back();
    }
    for (const auto& buffer : buffers) expect_sum(buffer, collective.size(), round);
  }
}

// One that nobody waits for ends before its values go.
inline void dropped(Collective& collective) {
  {
    auto values = values_of<float>(collective.rank(), 2'000'000);
    ASSERT_TRUE(collective.start_all_reduce_sum(values));
  }
  ASSERT_TRUE(collective.barrier().ok());
}

inline void broadcasts(Collective& collective) {
  for (std::size_t root = 0; root < collective.size(); ++root) {
    for (const std::size_t size : kSizes) {
      std::vector<float> values(size, static_cast<float>(collective.rank()));
      ASSERT_TRUE(collective.broadcast(std::as_writable_bytes(std::span(values)), root).ok());
      ASSERT_EQ(values, std::vector<float>(size, static_cast<float>(root)));
    }
  }
}

}  // namespace overwinter::worker::collective_suite
