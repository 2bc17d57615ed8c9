#include "worker/memory/scratch_resource.h"

#include <gtest/gtest.h>

#include <random>

#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/statistics_resource.h"

namespace overwinter::worker {
namespace {

TEST(Scratch, AStepLikeTheOneBeforeAsksUpstreamForNothing) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    HostResource host;
    StatisticsResource upstream(host);
    ScratchResource scratch(upstream, 1000);
    std::uint64_t after_first = 0;
    for (int step = 0; step < 5; ++step) {
      std::mt19937 random(seed);
      std::vector<Buffer> blocks;
      for (int i = 0; i < 200; ++i) {
        const std::size_t bytes = 1 + random() % (1U << random() % 14);
        blocks.push_back(Buffer::make(scratch, bytes, std::size_t{1} << random() % 13).value());
        blocks.back().data()[bytes - 1] = std::byte{1};
        if (random() % 3 == 0) blocks.pop_back();
      }
      if (step == 0) after_first = upstream.statistics().allocations;
      EXPECT_EQ(upstream.statistics().allocations, after_first) << "seed " << seed;
      EXPECT_EQ(scratch.held_bytes(), upstream.statistics().current_bytes);
    }
  }
}

TEST(Scratch, BlocksLieBehindEachOtherAndTheLastMakesRoom) {
  HostResource host;
  ScratchResource scratch(host, 4096);
  Buffer a = Buffer::make(scratch, 100).value();
  Buffer b = Buffer::make(scratch, 100).value();
  EXPECT_EQ(b.data(), a.data() + 128);
  const std::byte* const place = b.data();
  b = Buffer();
  b = Buffer::make(scratch, 200).value();
  EXPECT_EQ(b.data(), place);
  const std::byte* const begin = a.data();
  a = Buffer();
  Buffer c = Buffer::make(scratch, 64).value();
  EXPECT_GT(c.data(), b.data());  // no room is made in between
  b = Buffer();
  c = Buffer();
  a = Buffer::make(scratch, 4096).value();
  EXPECT_EQ(a.data(), begin);
  EXPECT_EQ(scratch.held_bytes(), 4096U);
}

TEST(Scratch, ARefusalIsUpstreamsAndTheStepGoesOn) {
  HostResource host;
  LimitingResource seat(host, 1000, "the seat");
  ScratchResource scratch(seat, 500);
  Buffer a = Buffer::make(scratch, 400).value();
  const auto refused = Buffer::make(scratch, 600);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "out of the memory of the seat: 600 B asked, 500 B held, 1000 B allowed");
  EXPECT_EQ(Buffer::make(scratch, 52).value().data(), a.data() + 448);
  EXPECT_EQ(scratch.held_bytes(), 500U);
}

TEST(ScratchDeath, WhatIsNotGivenBackIsSaid) {
  EXPECT_DEATH(
      {
        HostResource host;
        ScratchResource scratch(host);
        (void)scratch.allocate(100, 64);
      },
      "a step's memory is given back before it ends");
}

}  // namespace
}  // namespace overwinter::worker
