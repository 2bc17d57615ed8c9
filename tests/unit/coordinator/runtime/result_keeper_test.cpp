// Results that nobody owns, at a start.
#include <gtest/gtest.h>

#include <future>

#include "common/formats/digest.h"
#include "common/formats/npy.h"
#include "coordinator/runtime/result_keeper.h"
#include "overwinter/v1/job.pb.h"
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

// A product of two stored matrices, and the jobs that make it.
class SketchesTest : public testing::Test {
 protected:
  SketchesTest() {
    std::string matrix = formats::write_npy_header(formats::Dtype::kFloat32, kSize, kSize, false);
    matrix.resize(matrix.size() + kSize * kSize * sizeof(float), '\0');
    const auto bytes = std::as_bytes(std::span(matrix));
    formats::BlobDigester digester;
    digester.update(bytes);
    const Digest digest = digester.finish();
    auto upload = blobs_->begin_upload({"default", digest}, bytes.size(), Time{});
    EXPECT_TRUE((*upload)->write(bytes, Time{}).ok());
    EXPECT_TRUE((*upload)->finish().ok());
    geometry_.m = geometry_.k = geometry_.n = kSize;
    geometry_.tile_rows = geometry_.tile_columns = geometry_.panel_depth = kSize;
    geometry_.group_rows = 1;
    v1::Plan plan;
    plan::set_geometry(geometry_, *plan.mutable_matmul());
    plan.mutable_matmul()->set_a_digest(to_hex(digest));
    plan.mutable_matmul()->set_b_digest(to_hex(digest));
    plan_ = std::make_shared<const std::string>(plan.SerializeAsString());
  }
  ~SketchesTest() override { pool_.stop(); }

  void set(std::uint64_t id, core::JobState state) {
    auto view = std::make_shared<JobView>();
    view->id = JobId(id);
    view->project = "default";
    view->name = "job-" + std::to_string(id);
    view->state = state;
    view->plan = plan_;
    ViewChange change;
    change.jobs = {view};
    views_.apply(change);
  }
  // Whether tiles of the job can be checked; UNAVAILABLE: they wait.
  Code ready(ResultKeeper& keeper, std::uint64_t id) {
    auto promise = std::make_shared<std::promise<Code>>();
    auto future = promise->get_future();
    keeper.when_ready(JobId(id),
                      [promise](const Status& status) { promise->set_value(status.code); });
    return future.wait_for(std::chrono::seconds(10)) == std::future_status::ready ? future.get()
                                                                                  : Code::kUnknown;
  }

  static constexpr std::uint64_t kSize = 8;
  test::StoredCluster stored_;
  std::unique_ptr<artifacts::BlobStore> blobs_ =
      std::move(artifacts::BlobStore::open(artifacts::posix_files(), stored_.folder().string(),
                                           {.free_bytes_min = 0})
                    .value());
  std::unique_ptr<artifacts::ResultStore> results_ = std::move(
      artifacts::ResultStore::open(artifacts::posix_files(), stored_.folder().string(), {0})
          .value());
  plan::MatmulGeometry geometry_;
  core::SharedBytes plan_;
  Views views_{1};
  BlockingPool pool_{{}};
  EventQueue queue_{{}};
};

TEST_F(SketchesTest, TilesWaitForRoomAndJobsThatDoNotRunGiveItUp) {
  const std::uint64_t one = verify::SketchBuilder::memory_bytes(geometry_);
  ResultKeeper keeper(views_, *blobs_, *results_, pool_, queue_, 2 * one);
  for (const std::uint64_t id : {1, 2, 3}) set(id, core::JobState::kRunning);
  EXPECT_EQ(ready(keeper, 1), Code::kOk);
  EXPECT_EQ(ready(keeper, 2), Code::kOk);
  EXPECT_EQ(ready(keeper, 3), Code::kUnavailable);
  set(1, core::JobState::kPaused);
  EXPECT_EQ(ready(keeper, 3), Code::kOk);
  // It goes on, and waits until a job has ended.
  set(1, core::JobState::kRunning);
  EXPECT_EQ(ready(keeper, 1), Code::kUnavailable);
  keeper.drop({JobId(2)});
  set(2, core::JobState::kCancelled);
  EXPECT_EQ(ready(keeper, 2), Code::kNotFound);
  EXPECT_EQ(ready(keeper, 1), Code::kOk);
}

TEST_F(SketchesTest, AResultWithoutRoomIsSaid) {
  auto crowded =
      std::move(artifacts::ResultStore::open(artifacts::posix_files(), stored_.folder().string(),
                                             {.free_bytes_min = std::uint64_t{1} << 60})
                    .value());
  ResultKeeper keeper(views_, *blobs_, *crowded, pool_, queue_);
  set(1, core::JobState::kRunning);
  EXPECT_EQ(ready(keeper, 1), Code::kUnavailable);
  std::vector<core::Event> events;
  queue_.drain(std::nullopt, 10, events);
  ASSERT_EQ(events.size(), 1U);
  const auto* refused = std::get_if<core::ResultRefused>(&events.front());
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->job, JobId(1));
  EXPECT_NE(refused->message.find("free"), std::string::npos);
  EXPECT_TRUE(crowded->list()->empty());
}

}  // namespace
}  // namespace overwinter::runtime
