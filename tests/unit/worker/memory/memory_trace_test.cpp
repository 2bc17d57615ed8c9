// Traces: recorded, written, read (from hostile bytes too), played again.
#include "worker/memory/memory_trace.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "common/base/bytes.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/pool_resource.h"
#include "worker/memory/statistics_resource.h"
#include "worker/memory/trace_replay.h"

namespace overwinter::worker {
namespace {

std::span<const std::byte> trace_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Some blocks stay live; some are freed by another thread than theirs.
MemoryTrace random_trace(std::uint64_t seed, std::uint32_t threads, int moves,
                         std::uint64_t bytes_bits = 16) {
  std::mt19937_64 random(seed);
  MemoryTrace trace;
  trace.threads = threads;
  std::vector<TraceEvent> live;
  for (int i = 0; i < moves; ++i) {
    const auto thread = static_cast<std::uint32_t>(random() % threads);
    if (live.empty() || random() % 2 == 0) {
      const std::uint64_t bytes = 1 + random() % (1ULL << random() % bytes_bits);
      live.push_back({false, thread, trace.blocks++, bytes, 1U << random() % 13});
      trace.events.push_back(live.back());
    } else {
      std::swap(live[random() % live.size()], live.back());
      TraceEvent event = live.back();
      live.pop_back();
      event.frees = true;
      if (random() % 4 == 0) event.thread = thread;
      trace.events.push_back(event);
    }
  }
  return trace;
}

void expect_same(const MemoryTrace& a, const MemoryTrace& b) {
  ASSERT_EQ(a.threads, b.threads);
  ASSERT_EQ(a.blocks, b.blocks);
  ASSERT_EQ(a.events.size(), b.events.size());
  for (std::size_t i = 0; i < a.events.size(); ++i) {
    const TraceEvent& x = a.events[i];
    const TraceEvent& y = b.events[i];
    ASSERT_TRUE(x.frees == y.frees && x.thread == y.thread && x.block == y.block &&
                x.bytes == y.bytes && x.alignment == y.alignment)
        << "event " << i;
  }
}

TEST(MemoryTrace, IsReadAsItWasWritten) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const MemoryTrace trace = random_trace(seed, 1 + static_cast<std::uint32_t>(seed % 5), 500, 50);
    const auto read = read_trace(trace_bytes(write_trace(trace)));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    expect_same(*read, trace);
  }
  const auto empty = read_trace(trace_bytes(write_trace({})));
  ASSERT_TRUE(empty.has_value());
  EXPECT_TRUE(empty->events.empty());
}

TEST(MemoryTrace, WhatIsCutOffOrChangedIsRefusedOrSane) {
  const std::string whole = write_trace(random_trace(7, 2, 60));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto read = read_trace(trace_bytes(whole.substr(0, length)));
    ASSERT_FALSE(read.has_value()) << length;
    EXPECT_EQ(read.error().code, Code::kInvalidArgument);
  }
  EXPECT_FALSE(read_trace(trace_bytes(whole + 'x')).has_value());
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string changed = whole;
    for (int flips = 0; flips < 3; ++flips)
      changed[random() % changed.size()] = static_cast<char>(random());
    const auto read = read_trace(trace_bytes(changed));
    if (!read) continue;
    std::vector<int> state(read->blocks);  // 1: live, 2: freed
    for (const TraceEvent& event : read->events) {
      ASSERT_LT(event.thread, read->threads);
      ASSERT_LT(event.block, read->blocks);
      ASSERT_EQ(state[event.block]++, event.frees ? 1 : 0);
    }
  }
}

TEST(MemoryTrace, SaysWhatIsWrong) {
  const auto wrong = [](const std::string& bytes) {
    const auto read = read_trace(trace_bytes("OWTRACE1" + bytes));
    return read ? "nothing" : read.error().message;
  };
  using namespace std::string_literals;
  const std::string where = "The trace of memory is wrong at byte ";
  EXPECT_EQ(read_trace(trace_bytes("OWTRACE2")).error().message,
            where + "0: it does not begin as one.");
  EXPECT_EQ(wrong("\x01\xff\xff\xff\xff\x0f"s),
            where + "14: it has not as many events as it says.");
  EXPECT_EQ(wrong("\x80\x04\x00"s), where + "11: there are too many threads.");
  EXPECT_EQ(wrong("\x01\x01\x02\x40\x06"s), where + "11: there is no such thread.");
  EXPECT_EQ(wrong("\x01\x01\x00\x00\x06"s), where + "12: a block has a size.");
  EXPECT_EQ(wrong("\x01\x01\x00\x40\x0d"s), where + "13: an alignment is a power of two to 4096.");
  EXPECT_EQ(wrong("\x01\x01\x01\x00"s), where + "12: what is freed was never allocated.");
  EXPECT_EQ(wrong("\x01\x03\x00\x40\x06\x01\x00\x01\x00"s), where + "17: a block is freed twice.");
}

TEST(TraceRecorder, KeepsWhatALoggingResourceTells) {
  HostResource host;
  LimitingResource limit(host, 1000, "x");
  TraceRecorder recorder;
  LoggingResource logging(limit, [&](const MemoryMove& move) { recorder.note(move); });
  {
    Buffer a = Buffer::make(logging, 128).value();
    Buffer b = Buffer::make(logging, 64, 4096).value();
    EXPECT_FALSE(Buffer::make(logging, 5000).has_value());
    EXPECT_TRUE(Buffer::make(logging, 0).has_value());
    std::thread([&] { a = Buffer(); }).join();
  }
  const MemoryTrace trace = recorder.trace();
  MemoryTrace wanted;
  wanted.threads = 2;
  wanted.blocks = 2;
  wanted.events = {{false, 0, 0, 128, 64},
                   {false, 0, 1, 64, 4096},
                   {true, 1, 0, 128, 64},
                   {true, 0, 1, 64, 4096}};
  expect_same(trace, wanted);
  EXPECT_EQ(trace.peak_bytes(), 192U);
}

TEST(Replay, MakesEveryMoveOfEachRoundAndLeavesNothing) {
  for (const std::uint32_t threads : {1U, 2U, 3U}) {
    HostResource host;
    StatisticsResource counted(host);
    const MemoryTrace trace = random_trace(threads, threads, 2000);
    const auto report = replay(trace, counted, {.rounds = 3, .touch = true});
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(counted.statistics().allocations, std::uint64_t{3} * trace.blocks);
    EXPECT_EQ(counted.statistics().current_bytes, 0U);
    EXPECT_EQ(report->moves, std::uint64_t{6} * trace.blocks);
  }
  HostResource host;
  EXPECT_TRUE(replay({}, host).has_value());
}

TEST(Replay, InOrderHoldsAtMostTheTracesPeak) {
  HostResource host;
  StatisticsResource counted(host);
  const MemoryTrace trace = random_trace(9, 4, 3000);
  EXPECT_TRUE(replay_in_order(trace, counted).ok());
  EXPECT_EQ(counted.statistics().peak_bytes, trace.peak_bytes());
}

TEST(Replay, ARefusalEndsItAndEverythingIsGivenBack) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    HostResource host;
    const MemoryTrace trace = random_trace(seed, 3, 1000);
    LimitingResource limit(host, trace.peak_bytes() / 3, "the seat");
    const auto report = replay(trace, limit, {.rounds = 100});
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().message.find("out of the memory of the seat: "), 0U);
    EXPECT_EQ(limit.held_bytes(), 0U);
  }
}

// Over random traces, the worst there is for a pool (a few dozen blocks of bytes to megabytes,
// freed in no order): what it holds follows what is live, and nothing is left. A training's trace:
// overwinter-bench memory.
TEST(Replay, WhatAPoolHoldsFollowsWhatIsLive) {
  double held = 0;
  double live = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    HostResource host;
    StatisticsResource upstream(host);
    PoolResource pool(upstream);
    const MemoryTrace trace = random_trace(seed, 2, 4000, 23);
    ASSERT_TRUE(replay_in_order(trace, pool).ok());
    held += static_cast<double>(pool.statistics().held_peak_bytes);
    live += static_cast<double>(trace.peak_bytes());
    ASSERT_TRUE(replay(trace, pool, {.rounds = 3}).has_value());
    pool.trim();
    EXPECT_EQ(upstream.statistics().current_bytes, 0U);
  }
  EXPECT_LE(held / live, 1.35);
}

}  // namespace
}  // namespace overwinter::worker
