// The numbers at the head of the page.
#include "coordinator/runtime/cluster_status.h"

#include <gtest/gtest.h>

#include "coordinator/runtime/snapshot.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::runtime {
namespace {

using namespace core::test;

TEST(ClusterStatusTest, JobsThatMoneyKeepsWaitingAreCountedForWhoSeesThem) {
  test::StoredCluster stored;
  TestCluster& cluster = stored.cluster;
  cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
  cluster.joined(a_worker().with_price(3'600'000));
  cluster.submit(a_job().with_memory(4 * kGiB));
  cluster.submit(a_job().with_memory(4 * kGiB));  // waits for the device alone
  cluster.joined(a_worker().named("dear").with_price(3'600'000'000).for_projects({"other"}));
  cluster.submit(a_job().in("other").with_memory(4 * kGiB).with_cap(60'000));
  Views views(1);
  views.apply(snapshot_all(cluster.scheduler(), cluster.now));
  stored.save();
  const Costs costs(views, stored.store());
  const auto of = [&](const Principal& caller) {
    auto status = cluster_status(views, costs, stored.store(), {}, caller, cluster.now);
    EXPECT_TRUE(status) << status.error().message;
    return *status;
  };
  EXPECT_EQ(of(admin()).jobs_queued(), 2U);
  EXPECT_EQ(of(admin()).jobs_waiting_for_budget(), 1U);
  EXPECT_EQ(of(submitter(2, "other")).jobs_waiting_for_budget(), 1U);
  EXPECT_EQ(of(submitter(2, "default")).jobs_queued(), 1U);
  EXPECT_EQ(of(submitter(2, "default")).jobs_waiting_for_budget(), 0U);
}

}  // namespace
}  // namespace overwinter::runtime
