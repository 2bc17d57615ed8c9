// What the tests of the store share: a folder that goes away, and a cluster's life as turns.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/scheduler.h"
#include "coordinator/store/store.h"
#include "tests/support/core_builders.h"

namespace overwinter::store::test {

class TemporaryFolder {
 public:
  // In memory: what a disk does is simulated (fault_vfs.h) or measured (store_speed_test.cpp).
  explicit TemporaryFolder(const std::filesystem::path& in = "/dev/shm") {
    std::string pattern = (in / "ow-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Turn {
  Time time{};
  std::vector<core::Fact> facts;
  [[nodiscard]] TurnRef ref() const { return {time, facts}; }
};

inline constexpr std::size_t kFactsPerTurn = 2;

// The facts of a cluster's life, two a turn at most: two workers, jobs that run, pause, fail, end
// and are forgotten, price changes, a month's end.
inline std::vector<Turn> a_life(int jobs) {
  using namespace core::test;
  core::SchedulerConfig config;
  config.forget_after = Duration(20 * 60 * 1000);
  TestCluster cluster(config);
  cluster.now = time_from_unix_ms(1'796'083'200'000 - 600'000);  // ten minutes before December
  cluster.set_prices(a_book(1'890'000));
  const WorkerId one = cluster.joined(a_worker().named("one"));
  const WorkerId two = cluster.joined(a_worker().named("two").with_price(900'000));
  for (int i = 0; i < jobs; ++i) {
    const JobId job = cluster.submit(a_job().with_units(4).with_memory(kGiB).with_cap(5'000'000));
    cluster.run_for(Duration(7'000));
    cluster.beat(one);
    cluster.beat(two);
    if (cluster.job(job).seats.empty()) continue;
    const SeatKey seat = cluster.seat(job);
    cluster.began(seat);
    cluster.land(seat, units(0, 2));
    cluster.run_for(Duration(5'000 + i * 10));
    cluster.beat(one);
    cluster.beat(two);
    if (i % 5 == 4) {
      cluster.act(job, core::JobAction::kCancel);
    } else {
      cluster.land(seat, units(2, 4));
    }
    if (cluster.state().find_seat(seat) != nullptr) cluster.end(seat, Duration(4'000 + i));
    if (i == jobs / 2) cluster.set_prices(a_book(2'500'000));
  }
  std::vector<Turn> turns;
  for (const auto& [time, fact] : cluster.log) {
    if (turns.empty() || turns.back().time != time || turns.back().facts.size() == kFactsPerTurn) {
      turns.push_back({time, {}});
    }
    turns.back().facts.push_back(fact);
  }
  return turns;
}

// The state that these turns say, by the core alone.
inline core::ClusterState state_of(const std::vector<Turn>& turns, std::size_t count) {
  core::ClusterState state;
  for (std::size_t i = 0; i < count; ++i) {
    for (const core::Fact& fact : turns[i].facts) core::evolve(state, turns[i].time, fact);
  }
  return state;
}

inline StoreConfig small_config(const std::filesystem::path& folder) {
  StoreConfig config;
  config.folder = folder;
  config.reserve_bytes = 64 * kKiB;
  config.room_min_bytes = 0;
  return config;
}

inline std::unique_ptr<Store> must_open(const StoreConfig& config) {
  auto store = open_store(config);
  EXPECT_TRUE(store) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

}  // namespace overwinter::store::test
