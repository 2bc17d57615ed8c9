// Results that nobody owns, at a start.
#include <gtest/gtest.h>

#include "coordinator/runtime/result_keeper.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::runtime {
namespace {

TEST(Orphans, ResultsOfJobsThatAreUnknownOrFailedLongAgoAreRemoved) {
  test::StoredCluster stored;
  core::test::TestCluster& cluster = stored.cluster;
  const auto accept = [&](std::uint64_t id) {
    core::JobAccepted accepted;
    accepted.job = JobId(id);
    accepted.project = "default";
    accepted.name = "job-" + std::to_string(id);
    return accepted;
  };
  const auto ended = [](std::uint64_t id, core::JobState state) {
    return core::JobStateChanged{JobId(id), state, core::Cause::kNone, 1, "", 0};
  };
  stored.save();
  const std::vector<core::Fact> facts{
      accept(100),  // still there
      accept(101), ended(101, core::JobState::kSucceeded), core::JobForgotten{JobId(101)},
      accept(102), ended(102, core::JobState::kFailed),    core::JobForgotten{JobId(102)}};
  stored.commit(cluster.now, facts);
  stored.reopen();
  const auto root = stored.folder() / "artifacts";
  std::filesystem::create_directories(root);
  auto results = artifacts::ResultStore::open(artifacts::posix_files(), root.string(), {0});
  ASSERT_TRUE(results.has_value()) << results.error().message;
  artifacts::ResultSpec spec;
  spec.dtype = formats::Dtype::kFloat32;
  spec.rows = spec.columns = spec.tile_rows = spec.tile_columns = 4;
  spec.group_rows = 1;
  for (const std::uint64_t id : {100, 101, 102, 999}) {
    ASSERT_TRUE((*results)->prepare(JobId(id), spec, {}).ok());
  }
  const auto scheduler = stored.scheduler();
  ASSERT_TRUE(remove_orphans(**results, scheduler.state(), stored.store().history()).ok());
  EXPECT_EQ((*results)->list().value(), (std::vector<JobId>{JobId(100), JobId(101)}));
}

}  // namespace
}  // namespace overwinter::runtime
