// What a commit and a restart cost on this machine's disk. Prints; the bounds only catch a change
// of order.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

TEST(StoreSpeed, CommitsAndRestart) {
  constexpr std::size_t kCommits = 100;
  constexpr std::size_t kTurns = 5'000;
  const test::TemporaryFolder folder(std::filesystem::temp_directory_path());
  const auto config = test::small_config(folder.path());
  std::size_t facts = 0;
  {
    const auto store = test::must_open(config);
    ASSERT_TRUE(store->restore());
    core::JobAccepted accepted;
    accepted.project = "default";
    accepted.spec = accepted.plan = std::make_shared<const std::string>(300, 'x');
    std::uint64_t next = 0;
    const auto turn = [&] {
      accepted.job = JobId(++next);
      accepted.name = "job-" + std::to_string(next);
      facts += 2;
      return std::vector<core::Fact>{accepted, core::ReportsProcessed{WorkerId(1), {}, next}};
    };
    std::vector<double> times;
    for (std::size_t i = 0; i < kCommits; ++i) {
      const std::vector<core::Fact> one = turn();
      const TurnRef ref{time_from_unix_ms(static_cast<std::int64_t>(i)), one};
      const auto from = Clock::now();
      ASSERT_TRUE(store->append_and_commit(std::span(&ref, 1)).ok());
      times.push_back(ms_since(from));
    }
    std::sort(times.begin(), times.end());
    std::printf("single commits: p50 %.2f ms, p99 %.2f ms\n", times[kCommits / 2],
                times[kCommits * 99 / 100]);
    const auto from = Clock::now();
    for (std::size_t done = 0; done < kTurns; done += 1000) {
      std::vector<std::vector<core::Fact>> kept;
      std::vector<TurnRef> refs;
      kept.reserve(1000);
      for (int i = 0; i < 1000; ++i) {
        kept.push_back(turn());
        refs.push_back({time_from_unix_ms(1000), kept.back()});
      }
      ASSERT_TRUE(store->append_and_commit(refs).ok());
    }
    std::printf("grouped: %.0f turns/s\n", static_cast<double>(kTurns) / ms_since(from) * 1000);
  }
  auto from = Clock::now();
  {
    const auto store = test::must_open(config);  // projects what the second run has not
    ASSERT_TRUE(store->restore());
    ASSERT_TRUE(store->catch_up().ok());
  }
  std::printf("restart with the log unprojected: %.0f facts/s\n",
              static_cast<double>(facts) / ms_since(from) * 1000);
  from = Clock::now();
  const auto state = test::must_open(config)->restore();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->jobs.size(), kCommits + kTurns);
  std::printf("restart with the log projected: %zu turns and jobs in %.0f ms\n", state->jobs.size(),
              ms_since(from));
}

}  // namespace
}  // namespace overwinter::store
