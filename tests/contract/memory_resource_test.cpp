// One behaviour suite for every MemoryResource, and what each adaptor adds.
#include "worker/memory/memory_resource.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/logging_resource.h"
#include "worker/memory/pool_resource.h"
#include "worker/memory/scratch_resource.h"
#include "worker/memory/statistics_resource.h"

namespace overwinter::worker {
namespace {

struct Made {
  Made() = default;
  Made(Made&&) = default;
  Made& operator=(Made&&) = default;
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    while (!owned.empty()) owned.pop_back();
  }
  std::vector<std::unique_ptr<MemoryResource>> owned;  // upstream first, which ends last
  MemoryResource& top() { return *owned.back(); }
};

Made make(const std::string& kind) {
  Made made;
  made.owned.push_back(std::make_unique<HostResource>());
  MemoryResource& host = made.top();
  if (kind == "limit") {
    made.owned.push_back(std::make_unique<LimitingResource>(host, 64U << 20, "the seat"));
  } else if (kind == "statistics") {
    made.owned.push_back(std::make_unique<StatisticsResource>(host));
  } else if (kind == "logging") {
    made.owned.push_back(std::make_unique<LoggingResource>(host, [](const MemoryMove&) {}));
  } else if (kind == "scratch") {
    made.owned.push_back(std::make_unique<ScratchResource>(host, 1000));
  } else if (kind == "pool") {
    made.owned.push_back(std::make_unique<PoolResource>(host));
  } else if (kind == "pool_of_a_limit") {
    made.owned.push_back(std::make_unique<LimitingResource>(host, 64U << 20, "the seat"));
    made.owned.push_back(
        std::make_unique<PoolResource>(*made.owned[1], PoolOptions{.keep_bytes = 0}));
  } else if (kind == "pool_of_a_pool") {
    made.owned.push_back(std::make_unique<PoolResource>(host));
    made.owned.push_back(std::make_unique<PoolResource>(*made.owned[1]));
  }
  return made;
}

class AnyResource : public ::testing::TestWithParam<std::string> {};

TEST_P(AnyResource, GivesAlignedMemoryThatCanBeWritten) {
  Made made = make(GetParam());
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{63}, std::size_t{65535},
                                  std::size_t{65536}, std::size_t{65537}, std::size_t{9} << 20}) {
    for (const std::size_t alignment : {std::size_t{16}, std::size_t{64}, std::size_t{4096}}) {
      auto memory = made.top().allocate(bytes, alignment);
      ASSERT_TRUE(memory.has_value());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(*memory) % alignment, 0U);
      std::memset(*memory, 0xA5, bytes);
      made.top().deallocate(*memory, bytes, alignment);
    }
  }
}

TEST_P(AnyResource, NothingIsANullPointer) {
  Made made = make(GetParam());
  auto memory = made.top().allocate(0);
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(*memory, nullptr);
  made.top().deallocate(*memory, 0);
}

TEST_P(AnyResource, AnImpossibleSizeIsRefusedAndNotThrown) {
  Made made = make(GetParam());
  auto memory = made.top().allocate(std::numeric_limits<std::size_t>::max() - 5000);
  ASSERT_FALSE(memory.has_value());
  EXPECT_EQ(memory.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(Buffer::make(made.top(), 100).has_value());  // and it goes on
}

TEST_P(AnyResource, ManyThreadsAtOnce) {
  Made made = make(GetParam());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&made] {
      for (std::size_t i = 1; i < 200; ++i) {
        auto memory = made.top().allocate(i * 512);
        ASSERT_TRUE(memory.has_value());
        static_cast<char*>(*memory)[i * 512 - 1] = 1;
        made.top().deallocate(*memory, i * 512);
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST_P(AnyResource, ABufferGivesBackWhatItHolds) {
  Made made = make(GetParam());
  LimitingResource counted(made.top(), 10000, "the test");
  {
    Buffer a = Buffer::make(counted, 4000).value();
    Buffer b = std::move(a);
    EXPECT_EQ(counted.held_bytes(), 4000U);
    b = Buffer::make(counted, 5000).value();
    EXPECT_EQ(counted.held_bytes(), 5000U);
    EXPECT_FALSE(Buffer::make(counted, 5001).has_value());
  }
  EXPECT_EQ(counted.held_bytes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, AnyResource,
                         ::testing::Values("host", "limit", "statistics", "logging", "scratch",
                                           "pool", "pool_of_a_limit", "pool_of_a_pool"));

TEST(LimitingResource, RefusesWithWhatWasAskedHeldAndAllowed) {
  HostResource host;
  LimitingResource limit(host, 64U << 20, "the seat");
  Buffer held = Buffer::make(limit, 40U << 20).value();
  auto charge = limit.charge(4U << 20, "OpenBLAS");
  ASSERT_TRUE(charge.has_value());
  auto refused = limit.allocate(32U << 20, 64);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "out of the memory of the seat: 32.0 MiB asked, 44.0 MiB held, 64.0 MiB allowed");
  EXPECT_FALSE(limit.charge(21U << 20, "OpenBLAS").has_value());
  *charge = LimitingResource::Charge();
  EXPECT_EQ(limit.held_bytes(), 40U << 20);
  EXPECT_EQ(limit.peak_bytes(), 44U << 20);
  EXPECT_TRUE(limit.charge(24U << 20, "all that is left").has_value());
}

TEST(LimitingResource, CountsNothingForWhatTheUpstreamRefuses) {
  HostResource host;
  LimitingResource device(host, 1000, "device 0");
  LimitingResource seat(device, 5000, "the seat");
  auto refused = seat.allocate(2000, 64);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("device 0"), std::string::npos);
  EXPECT_EQ(seat.held_bytes(), 0U);
}

TEST(StatisticsResource, KnowsNowAndThePeak) {
  HostResource host;
  LimitingResource limit(host, 1000, "x");
  StatisticsResource statistics(limit);
  {
    Buffer a = Buffer::make(statistics, 600).value();
    Buffer b = Buffer::make(statistics, 300).value();
    EXPECT_FALSE(Buffer::make(statistics, 200).has_value());
  }
  const MemoryStatistics s = statistics.statistics();
  EXPECT_EQ(s.current_bytes, 0U);
  EXPECT_EQ(s.peak_bytes, 900U);
  EXPECT_EQ(s.allocations, 2U);
  EXPECT_EQ(s.refusals, 1U);
}

TEST(LoggingResource, SaysEachMove) {
  HostResource host;
  LimitingResource limit(host, 1000, "x");
  std::vector<std::string> lines;
  LoggingResource logging(limit, [&](const MemoryMove& move) { lines.push_back(line_of(move)); });
  { Buffer a = Buffer::make(logging, 128).value(); }
  EXPECT_FALSE(Buffer::make(logging, 1001).has_value());
  EXPECT_EQ(lines, (std::vector<std::string>{"allocate 128", "free 128", "refuse 1001"}));
}

}  // namespace
}  // namespace overwinter::worker
