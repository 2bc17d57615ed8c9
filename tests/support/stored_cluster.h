// A cluster's life, driven by hand (core_builders.h), in a real store on a folder in memory: what a
// coordinator finds when it starts.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/store/store.h"
#include "tests/support/core_builders.h"

namespace overwinter::test {

class StoredCluster {
 public:
  StoredCluster() {
    std::string pattern = "/dev/shm/ow-cluster-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    open();
  }
  ~StoredCluster() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  StoredCluster(const StoredCluster&) = delete;
  StoredCluster& operator=(const StoredCluster&) = delete;

  // Commits what `cluster` has decided since the last call.
  void save() {
    for (; saved_ < cluster.log.size(); ++saved_) {
      const auto& [time, fact] = cluster.log[saved_];
      commit(time, {&fact, 1});
    }
  }
  void commit(Time time, std::span<const core::Fact> facts) {
    const store::TurnRef turn{time, facts};
    ASSERT_TRUE(store_->append_and_commit({&turn, 1}).ok());
  }
  // A new process on the same folder.
  void reopen() {
    store_.reset();
    open();
  }
  [[nodiscard]] store::Store& store() { return *store_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  // What was replayed at the last opening.
  [[nodiscard]] core::Scheduler scheduler() {
    return core::Scheduler(core::SchedulerConfig{}, restored_);
  }

  core::test::TestCluster cluster;

 private:
  void open() {
    store::StoreConfig config;
    config.folder = folder_;
    config.reserve_bytes = 0;
    config.room_min_bytes = 0;
    auto opened = store::open_store(config);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
    auto state = store_->restore();
    ASSERT_TRUE(state.has_value());
    restored_ = std::move(*state);
  }

  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  core::ClusterState restored_;
  std::size_t saved_ = 0;
};

}  // namespace overwinter::test
