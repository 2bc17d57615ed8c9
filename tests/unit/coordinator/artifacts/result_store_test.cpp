#include "coordinator/artifacts/result_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

using formats::Dtype;
using Outcome = Landing::Outcome;

constexpr JobId kJob{7};
const ResultSpec kSpec{Dtype::kFloat32, 10, 7, 4, 3, 2};  // 3 x 3 tiles

class ResultStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(files_); }
  void reopen(FilePort& files) {
    store_.reset();
    Result<std::unique_ptr<ResultStore>> store = ResultStore::open(files, "/data", config_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  ResultStore::Put put(UnitNumber unit, std::uint64_t tag = 0) {
    const Result<ResultStore::Put> put =
        store_->put(kJob, unit, bytes_of(tile_of(c_, kSpec, unit)), tag);
    EXPECT_TRUE(put.has_value()) << put.error().message;
    return put.value_or(ResultStore::Put::kWritten);
  }
  void land_all(JobId job, const ResultSpec& spec, const DenseMatrix& c) {
    for (UnitNumber unit = 0; unit < spec.grid().units(); ++unit)
      ASSERT_TRUE(store_->put(job, unit, bytes_of(tile_of(c, spec, unit)), unit).has_value());
    ASSERT_TRUE(store_->sync().has_value());
  }

  test::FaultFiles files_;
  ResultStoreConfig config_;
  std::unique_ptr<ResultStore> store_;
  const DenseMatrix c_ = random_matrix(Dtype::kFloat32, 10, 7, 99);
};

TEST_F(ResultStoreTest, LandsOnlyBySync) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  EXPECT_EQ(put(4, 104), ResultStore::Put::kWritten);
  EXPECT_EQ(put(2, 102), ResultStore::Put::kWritten);
  EXPECT_EQ(store_->waiting(), 2U);
  EXPECT_TRUE(store_->landed(kJob)->empty());
  EXPECT_EQ(*store_->sync(), (std::vector<Landing>{{kJob, 2, 102, Outcome::kLanded},
                                                   {kJob, 4, 104, Outcome::kLanded}}));
  EXPECT_EQ(store_->waiting(), 0U);
  EXPECT_TRUE(*store_->has_landed(kJob, 4));
  EXPECT_FALSE(*store_->has_landed(kJob, 3));
  EXPECT_EQ(store_->landed(kJob)->count(), 2U);
  EXPECT_TRUE(store_->sync()->empty());
}

TEST_F(ResultStoreTest, ManyTilesShareASync) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  for (UnitNumber unit = 0; unit < 9; ++unit) put(unit);
  const auto syncs = [&] {
    const std::vector<std::string> log = files_.log();
    return std::count(log.begin(), log.end(), "sync /data/results/7/tiles");
  };
  const auto before = syncs();
  EXPECT_EQ(store_->sync()->size(), 9U);
  EXPECT_EQ(syncs(), before + 1);
}

TEST_F(ResultStoreTest, ALaterTileNeverOverwritesALandedOne) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  const auto before = files_.contents();
  const std::string wrong(kSpec.tile_bytes(3), 'w');
  EXPECT_EQ(*store_->put(kJob, 3, bytes_of(wrong), 1), ResultStore::Put::kLanded);
  EXPECT_TRUE(store_->sync()->empty());
  EXPECT_EQ(files_.contents(), before);
}

TEST_F(ResultStoreTest, ARepeatedTileBeforeTheSyncIsAnsweredByIt) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  put(3, 1);
  const std::string wrong(kSpec.tile_bytes(3), 'w');
  EXPECT_EQ(*store_->put(kJob, 3, bytes_of(wrong), 2), ResultStore::Put::kWritten);
  EXPECT_EQ(*store_->sync(), (std::vector<Landing>{{kJob, 3, 1, Outcome::kLanded},
                                                   {kJob, 3, 2, Outcome::kRepeated}}));
  const std::string tiles = files_.contents().at("/data/results/7/tiles");
  const std::uint64_t offset = kSpec.grid().elements_before(3) * 4;
  EXPECT_EQ(tiles.substr(offset, kSpec.tile_bytes(3)), tile_of(c_, kSpec, 3));
}

TEST_F(ResultStoreTest, WrongPutsAreRefused) {
  EXPECT_EQ(store_->put(kJob, 0, {}, 0).error().code, Code::kNotFound);
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  EXPECT_EQ(store_->put(kJob, 9, {}, 0).error().code, Code::kOutOfRange);
  EXPECT_EQ(store_->has_landed(kJob, 9).error().code, Code::kOutOfRange);
  const std::string tile = tile_of(c_, kSpec, 0);
  for (const std::string& bad : {tile + "x", tile.substr(1), std::string()})
    EXPECT_EQ(store_->put(kJob, 0, bytes_of(bad), 0).error().code, Code::kInvalidArgument);
  EXPECT_EQ(store_->waiting(), 0U);
}

TEST_F(ResultStoreTest, PrepareIsIdempotentAndChecks) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  put(1);
  ASSERT_TRUE(store_->sync().has_value());
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  EXPECT_TRUE(*store_->has_landed(kJob, 1));
  ResultSpec other = kSpec;
  other.tile_rows = 5;
  EXPECT_EQ(store_->prepare(kJob, other, {}).code, Code::kFailedPrecondition);
  reopen(files_);
  EXPECT_EQ(store_->prepare(kJob, other, {}).code, Code::kFailedPrecondition);
  EXPECT_EQ(store_->prepare(kJob, kSpec, UnitRanges({0, 10})).code, Code::kInvalidArgument);
  EXPECT_EQ(store_->prepare(JobId{8}, kSpec, UnitRanges({0, 1})).code, Code::kNotFound);
  ASSERT_TRUE(store_->prepare(kJob, kSpec, UnitRanges({1, 2})).ok());
  EXPECT_EQ(put(1), ResultStore::Put::kLanded);
  for (ResultSpec bad :
       {ResultSpec{Dtype::kFloat32, 1, 1, 0, 1, 1}, ResultSpec{Dtype::kFloat32, 1, 1, 1, 0, 1},
        ResultSpec{Dtype::kFloat32, 1, 1, 1, 1, 0},
        ResultSpec{Dtype::kFloat64, std::uint64_t{1} << 40, std::uint64_t{1} << 40, 1, 1, 1},
        ResultSpec{Dtype::kFloat64, std::uint64_t{1} << 41, 0, 1, 1, 1}})
    EXPECT_EQ(store_->prepare(JobId{9}, bad, {}).code, Code::kInvalidArgument);
}

TEST_F(ResultStoreTest, TooLittleDiskLeavesNothing) {
  files_.set_capacity(config_.free_bytes_min + 100);
  EXPECT_TRUE(store_->room_for(100).ok());
  EXPECT_EQ(store_->room_for(101).code, Code::kResourceExhausted);
  const Status status = store_->prepare(kJob, kSpec, {});
  EXPECT_EQ(status.code, Code::kResourceExhausted);
  EXPECT_NE(status.message.find("280 B"), std::string::npos) << status.message;
  EXPECT_TRUE(store_->list()->empty());
  files_.set_capacity(std::uint64_t{1} << 40);
  for (const auto op : {test::FileOp::kMakeFolder, test::FileOp::kOpen, test::FileOp::kAllocate,
                        test::FileOp::kWrite, test::FileOp::kRename}) {
    // The first open looks for a specification, the second creates.
    files_.fail_once(op, error(Code::kResourceExhausted, "No space left."),
                     op == test::FileOp::kOpen ? 1 : 0);
    EXPECT_EQ(store_->prepare(kJob, kSpec, {}).code, Code::kResourceExhausted);
    EXPECT_TRUE(store_->list()->empty());
    EXPECT_TRUE(files_.contents().empty());
  }
}

TEST_F(ResultStoreTest, AFullDiskInTheMiddleIsAnErrorOfThatTileAlone) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  files_.fail_once(test::FileOp::kWrite, error(Code::kResourceExhausted, "No space left."));
  EXPECT_EQ(store_->put(kJob, 0, bytes_of(tile_of(c_, kSpec, 0)), 1).error().code,
            Code::kResourceExhausted);
  EXPECT_EQ(put(0, 2), ResultStore::Put::kWritten);
  EXPECT_EQ(store_->sync()->size(), 1U);
}

TEST_F(ResultStoreTest, AfterAFailedSyncNothingLandsAnyMore) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  put(0, 1);
  files_.fail_once(test::FileOp::kSync, error(Code::kDataLoss, "Syncing failed."));
  EXPECT_TRUE(is_fatal(store_->sync().error()));
  // A retry that succeeds proves nothing: the kernel forgets pages that it could not write.
  EXPECT_TRUE(is_fatal(store_->sync().error()));
  EXPECT_TRUE(is_fatal(store_->put(kJob, 1, bytes_of(tile_of(c_, kSpec, 1)), 2).error()));
  EXPECT_TRUE(store_->landed(kJob)->empty());
}

TEST_F(ResultStoreTest, SealsAndReadsBack) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  EXPECT_EQ(store_->manifest(kJob).error().code, Code::kNotFound);
  put(0);
  ASSERT_TRUE(store_->sync().has_value());
  const Status early = store_->seal(kJob).error();
  EXPECT_EQ(early.code, Code::kFailedPrecondition);
  EXPECT_NE(early.message.find("8 of 9"), std::string::npos) << early.message;
  land_all(kJob, kSpec, c_);
  const ResultManifest sealed = store_->seal(kJob).value();
  EXPECT_EQ(sealed, (ResultManifest{kSpec, digest_of(c_.npy(false)), c_.npy(false).size()}));
  EXPECT_EQ(*store_->seal(kJob), sealed);
  EXPECT_EQ(store_->put(kJob, 0, bytes_of(tile_of(c_, kSpec, 0)), 1).error().code, Code::kNotFound);

  reopen(files_);
  EXPECT_EQ(*store_->manifest(kJob), sealed);
  EXPECT_EQ(*store_->seal(kJob), sealed);
  for (const bool fortran : {false, true}) {
    ResultReader reader = store_->read(kJob, fortran ? Order::kFortran : Order::kC).value();
    EXPECT_EQ(*drain(reader, 100), c_.npy(fortran));
  }
  // Taken up again: all units have landed, whatever is said.
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  EXPECT_EQ(put(5), ResultStore::Put::kLanded);
  EXPECT_EQ(*store_->seal(kJob), sealed);
}

TEST_F(ResultStoreTest, ASealThatFailsLeavesNothingHalfDone) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  for (const auto op : {test::FileOp::kWrite, test::FileOp::kRename}) {
    files_.fail_once(op, error(Code::kResourceExhausted, "No space left."));
    EXPECT_EQ(store_->seal(kJob).error().code, Code::kResourceExhausted);
    EXPECT_EQ(files_.contents().size(), 2U);  // tiles and spec
  }
  EXPECT_TRUE(store_->seal(kJob).has_value());
}

TEST_F(ResultStoreTest, RemovedAndBegunAnewWhileItIsSealed) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  files_.before_read = [this] {
    files_.before_read = nullptr;
    EXPECT_TRUE(store_->remove(kJob).ok());
    EXPECT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  };
  EXPECT_FALSE(store_->seal(kJob).has_value());
  EXPECT_EQ(store_->manifest(kJob).error().code, Code::kNotFound);
  EXPECT_TRUE(store_->landed(kJob)->empty());
}

// A download asks for the seal while the job's end makes it.
TEST_F(ResultStoreTest, SealedTwiceAtOnce) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  files_.before_read = [this] {
    files_.before_read = nullptr;
    EXPECT_TRUE(store_->seal(kJob).has_value());
  };
  const auto sealed = store_->seal(kJob);
  ASSERT_TRUE(sealed.has_value()) << sealed.error().message;
  EXPECT_EQ(*sealed, *store_->manifest(kJob));
}

TEST_F(ResultStoreTest, RemovedWhileItIsSealed) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  files_.before_read = [this] {
    files_.before_read = nullptr;
    EXPECT_TRUE(store_->remove(kJob).ok());
  };
  EXPECT_EQ(store_->seal(kJob).error().code, Code::kNotFound);
  EXPECT_TRUE(files_.contents().empty());
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(ResultStoreTest, EmptyResults) {
  for (const auto& [rows, columns] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 5}, {5, 0}, {0, 0}}) {
    const JobId job{100 + rows * 10 + columns};
    const ResultSpec spec{Dtype::kFloat64, rows, columns, 4, 4, 1};
    ASSERT_TRUE(store_->prepare(job, spec, {}).ok());
    const ResultManifest sealed = store_->seal(job).value();
    const DenseMatrix empty{Dtype::kFloat64, rows, columns, {}};
    EXPECT_EQ(sealed.digest, digest_of(empty.npy(false)));
    ResultReader reader = store_->read(job, Order::kC).value();
    EXPECT_EQ(*drain(reader, 100), empty.npy(false));
  }
}

TEST_F(ResultStoreTest, ADamagedManifestIsSaid) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  ASSERT_TRUE(store_->seal(kJob).has_value());
  const std::string path = "/data/results/7/manifest";
  const std::string good = files_.contents().at(path);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    files_.overwrite(path, bad);
    EXPECT_EQ(store_->manifest(kJob).error().code, Code::kInternal) << at;
    files_.overwrite(path, good.substr(0, at));
    EXPECT_EQ(store_->manifest(kJob).error().code, Code::kInternal) << at;
  }
  files_.overwrite(path, std::string(10'000, 'x'));
  EXPECT_EQ(store_->manifest(kJob).error().code, Code::kInternal);
  files_.overwrite(path, good);
  EXPECT_TRUE(store_->manifest(kJob).has_value());
}

TEST_F(ResultStoreTest, RemoveAnswersWhatWaits) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  ASSERT_TRUE(store_->prepare(JobId{8}, kSpec, {}).ok());
  put(1, 1);
  put(1, 2);
  EXPECT_EQ(*store_->list(), (std::vector<JobId>{kJob, JobId{8}}));
  ASSERT_TRUE(store_->remove(kJob).ok());
  ASSERT_TRUE(store_->remove(kJob).ok());
  EXPECT_EQ(store_->waiting(), 2U);
  EXPECT_EQ(*store_->sync(), (std::vector<Landing>{{kJob, 1, 1, Outcome::kDropped},
                                                   {kJob, 1, 2, Outcome::kDropped}}));
  EXPECT_EQ(*store_->list(), (std::vector<JobId>{JobId{8}}));
  EXPECT_EQ(store_->put(kJob, 1, bytes_of(tile_of(c_, kSpec, 1)), 1).error().code, Code::kNotFound);
}

TEST_F(ResultStoreTest, ReadersOutliveRemoval) {
  ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
  land_all(kJob, kSpec, c_);
  ASSERT_TRUE(store_->seal(kJob).has_value());
  ResultReader reader = store_->read(kJob, Order::kC).value();
  ASSERT_TRUE(store_->remove(kJob).ok());
  EXPECT_EQ(*drain(reader, 7), c_.npy(false));
  EXPECT_EQ(store_->read(kJob, Order::kC).error().code, Code::kNotFound);
}

TEST_F(ResultStoreTest, ThreadsRaceForTheSameUnits) {
  const ResultSpec spec{Dtype::kFloat64, 64, 48, 4, 4, 3};
  const DenseMatrix c = random_matrix(Dtype::kFloat64, 64, 48, 5);
  ASSERT_TRUE(store_->prepare(kJob, spec, {}).ok());
  const UnitNumber units = spec.grid().units();
  std::atomic<int> running{4};
  std::atomic<std::uint64_t> written{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (UnitNumber i = 0; i < units; ++i) {
        const UnitNumber unit = t % 2 == 0 ? i : units - 1 - i;
        const auto put = store_->put(kJob, unit, bytes_of(tile_of(c, spec, unit)), unit);
        if (put.value() == ResultStore::Put::kWritten) ++written;
      }
      --running;
    });
  }
  std::uint64_t landed = 0;
  std::uint64_t answered = 0;
  const auto sync = [&] {
    const std::vector<Landing> landings = store_->sync().value();
    for (const Landing& landing : landings) landed += landing.outcome == Outcome::kLanded ? 1 : 0;
    answered += landings.size();
  };
  while (running != 0) sync();
  for (std::thread& thread : threads) thread.join();
  sync();
  EXPECT_EQ(landed, units);
  EXPECT_EQ(answered, written);
  EXPECT_EQ(store_->seal(kJob)->digest, digest_of(c.npy(false)));
}

// All shapes of grids, both orders, small and large buffers, against the dense matrix.
TEST(ResultReader, RandomGrids) {
  std::mt19937_64 random(11);
  const auto up_to = [&](std::uint64_t most) { return 1 + random() % most; };
  const Dtype dtypes[] = {Dtype::kInt8, Dtype::kFloat16, Dtype::kFloat32, Dtype::kFloat64};
  for (int round = 0; round < 150; ++round) {
    const ResultSpec spec{dtypes[round % 4], up_to(70), up_to(70), up_to(40), up_to(40), up_to(4)};
    const DenseMatrix c = random_matrix(spec.dtype, spec.rows, spec.columns, random());
    test::FaultFiles files;
    std::shared_ptr<File> tiles = files.open("/data/tiles", OpenMode::kCreate).value();
    std::uint64_t offset = 0;
    for (UnitNumber unit = 0; unit < spec.grid().units(); ++unit) {
      const std::string tile = tile_of(c, spec, unit);
      ASSERT_TRUE(tiles->write_at(offset, bytes_of(tile)).ok());
      offset += tile.size();
    }
    for (const bool fortran : {false, true}) {
      ResultReader reader(tiles, spec, fortran ? Order::kFortran : Order::kC, up_to(8000));
      EXPECT_EQ(reader.size_bytes(), c.npy(fortran).size());
      EXPECT_EQ(*drain(reader, up_to(3000)), c.npy(fortran)) << round;
    }
  }
}

}  // namespace
}  // namespace overwinter::artifacts
