#include "coordinator/artifacts/checkpoint_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/checkpoint_support.h"

namespace overwinter::artifacts {
namespace {

using test::FaultFiles;
using test::FileOp;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr JobId kJob{7};
constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);

class CheckpointStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    store_ = CheckpointStore::open(files_, "/data", config_).value();
  }
  Status put(CheckpointKey key, std::uint32_t keep = 3, JobId job = kJob) {
    return send(*store_, a_checkpoint(job, key), keep, kNow);
  }
  [[nodiscard]] std::vector<CheckpointKey> keys(JobId job = kJob) const {
    std::vector<CheckpointKey> found;
    for (const StoredCheckpoint& one : store_->list(job)) found.push_back(one.manifest->key());
    return found;
  }
  [[nodiscard]] std::string path_of(CheckpointKey key, const std::string& name) const {
    const CheckpointManifest manifest = a_checkpoint(kJob, key).manifest;
    return "/data/checkpoints/7/" + std::to_string(key.attempt) + "-" + std::to_string(key.step) +
           "/" + to_hex(manifest.find(name)->digest);
  }
  void flip(const std::string& path, std::size_t at) {
    std::string content = files_.contents().at(path);
    content[at] = static_cast<char>(content[at] ^ 4);
    files_.overwrite(path, content);
  }

  FaultFiles files_;
  CheckpointStoreConfig config_{1024 * kMiB, 0, 8, Duration(60'000)};
  std::unique_ptr<CheckpointStore> store_;
};

TEST_F(CheckpointStoreTest, AStoredOneIsReadBackAlsoAfterARestart) {
  ASSERT_TRUE(put({1, 50}).ok());
  for (int i = 0; i < 2; ++i) {
    const auto found = store_->get(kJob, {});
    ASSERT_TRUE(found.has_value());
    const TestCheckpoint sent = a_checkpoint(kJob, {1, 50});
    EXPECT_EQ(found->manifest->files, sent.manifest.files);
    EXPECT_EQ(found->manifest->stored, kNow);
    EXPECT_EQ(found->manifest->loss, sent.manifest.loss);
    for (const auto& [name, content] : sent.contents)
      EXPECT_EQ(read_all(*store_, kJob, {1, 50}, name), content);
    EXPECT_EQ(store_->open_file(kJob, {1, 50}, "other").error().code, Code::kNotFound);
    EXPECT_EQ(store_->open_file(kJob, {1, 51}, "state").error().code, Code::kNotFound);
    EXPECT_EQ(store_->get(JobId(8), {}).error().code, Code::kNotFound);
    EXPECT_EQ(store_->get(kJob, 51).error().code, Code::kNotFound);
    EXPECT_TRUE(store_->verify(kJob, {1, 50}).ok());
    reopen();
  }
}

TEST_F(CheckpointStoreTest, EmptyAndEqualFiles) {
  TestCheckpoint checkpoint = a_checkpoint(kJob, {1, 1});
  checkpoint.add("empty", "", CheckpointFileKind::kUserFile);
  checkpoint.add("same", checkpoint.contents.at("model.safetensors"),
                 CheckpointFileKind::kUserFile);
  checkpoint.add("dir/also empty", "", CheckpointFileKind::kUserFile);
  ASSERT_TRUE(send(*store_, checkpoint, 3, kNow).ok());
  for (const auto& [name, content] : checkpoint.contents)
    EXPECT_EQ(read_all(*store_, kJob, {1, 1}, name), content) << name;
  EXPECT_TRUE(store_->verify(kJob, {1, 1}).ok());
}

TEST_F(CheckpointStoreTest, TheNewestAreKeptAndALaterAttemptIsNewer) {
  for (std::uint64_t step = 1; step <= 5; ++step) ASSERT_TRUE(put({1, step * 10}, 2).ok());
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{1, 50}, CheckpointKey{1, 40}));
  // Attempt 2 went back to 40; its 50 is another one than that of attempt 1.
  ASSERT_TRUE(put({2, 50}, 3).ok());
  EXPECT_THAT(keys(),
              ElementsAre(CheckpointKey{2, 50}, CheckpointKey{1, 50}, CheckpointKey{1, 40}));
  EXPECT_EQ(store_->get(kJob, 50)->manifest->attempt, 2U);
  ASSERT_TRUE(put({2, 45}, 3).code == Code::kFailedPrecondition);  // it has reached 50
  ASSERT_TRUE(put({1, 60}, 3).code == Code::kFailedPrecondition);
  ASSERT_TRUE(put({2, 60}, 0).ok());  // at least one is kept
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{2, 60}));
  EXPECT_EQ(files_.contents().size(), 4U);
}

TEST_F(CheckpointStoreTest, NothingIsSeenBeforeTheCommit) {
  const TestCheckpoint checkpoint = a_checkpoint(kJob, {1, 50});
  const CheckpointManifest& manifest = checkpoint.manifest;
  ASSERT_TRUE(store_->begin(kJob, {1, 50}, manifest.total_bytes(), kNow).ok());
  ASSERT_TRUE(store_->begin(kJob, {1, 50}, manifest.total_bytes(), kNow).ok());  // another rank
  EXPECT_EQ(store_->open_count(), 1U);
  for (const CheckpointFile& file : manifest.files) {
    EXPECT_TRUE(keys().empty());
    const auto early = store_->commit(manifest, 3, kNow);
    ASSERT_FALSE(early.has_value());
    EXPECT_EQ(early.error().code, Code::kFailedPrecondition);
    EXPECT_THAT(early.error().message, HasSubstr(file.name));
    ASSERT_TRUE(send_file(*store_, manifest, file, checkpoint.contents.at(file.name), kNow).ok());
    // The same file again: nothing to send.
    EXPECT_EQ(store_->begin_file(kJob, {1, 50}, file.digest, file.size_bytes, kNow).error().code,
              Code::kAlreadyExists);
  }
  const auto stored = store_->commit(manifest, 3, kNow);
  ASSERT_TRUE(stored.has_value());
  // The acknowledgement was lost: the same answer, with the time of then.
  const auto again = store_->commit(manifest, 3, kNow + Duration(5));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, *stored);
  EXPECT_EQ(store_->begin(kJob, {1, 50}, 10, kNow).code, Code::kAlreadyExists);
  CheckpointManifest other = manifest;
  other.world_size = 3;
  EXPECT_EQ(store_->commit(other, 3, kNow).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(store_->open_count(), 0U);
}

TEST_F(CheckpointStoreTest, AFileThatIsNotWhatItSaysIsRefused) {
  TestCheckpoint checkpoint = a_checkpoint(kJob, {1, 50});
  const CheckpointFile file = checkpoint.manifest.files.front();
  ASSERT_TRUE(store_->begin(kJob, {1, 50}, 5000, kNow).ok());
  std::string content = checkpoint.contents.at(file.name);
  content[100] = static_cast<char>(content[100] ^ 1);
  EXPECT_EQ(send_file(*store_, checkpoint.manifest, file, content, kNow).code,
            Code::kInvalidArgument);
  content = checkpoint.contents.at(file.name);
  EXPECT_EQ(send_file(*store_, checkpoint.manifest, file, content.substr(1), kNow).code,
            Code::kInvalidArgument);
  EXPECT_EQ(send_file(*store_, checkpoint.manifest, file, content + "x", kNow).code,
            Code::kInvalidArgument);
  EXPECT_TRUE(files_.contents().empty());
  EXPECT_TRUE(send_file(*store_, checkpoint.manifest, file, content, kNow).ok());
  // A manifest that says another size of it.
  checkpoint.manifest.files.resize(1);
  checkpoint.manifest.files.front().size_bytes = 7;
  EXPECT_EQ(store_->commit(checkpoint.manifest, 3, kNow).error().code, Code::kInvalidArgument);
  // Paths that leave their folder never get as far as a name on the disk.
  checkpoint.manifest.files.front() = file;
  checkpoint.manifest.files.front().name = "../../x";
  EXPECT_EQ(store_->commit(checkpoint.manifest, 3, kNow).error().code, Code::kInvalidArgument);
}

TEST_F(CheckpointStoreTest, MoreThanAnnouncedIsRefused) {
  ASSERT_TRUE(store_->begin(kJob, {1, 1}, 100, kNow).ok());
  const Digest digest = digest_of("x");
  EXPECT_EQ(store_->begin_file(kJob, {1, 1}, digest, 101, kNow).error().code,
            Code::kInvalidArgument);
  auto first = store_->begin_file(kJob, {1, 1}, digest, 100, kNow);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(store_->begin_file(kJob, {1, 1}, digest_of("y"), 1, kNow).has_value());
  // The same content again, since the line broke: the later one counts, and the earlier one ends.
  auto second = store_->begin_file(kJob, {1, 1}, digest, 100, kNow);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ((*first)->write(bytes_of("x"), kNow).code, Code::kAborted);
  first->reset();
  EXPECT_TRUE((*second)->write(bytes_of("x"), kNow).ok());
  second->reset();
  EXPECT_TRUE(store_->begin_file(kJob, {1, 1}, digest_of("y"), 100, kNow).has_value());
  // Another rank says that there will be more.
  ASSERT_TRUE(store_->begin(kJob, {1, 1}, 300, kNow).ok());
  EXPECT_TRUE(store_->begin_file(kJob, {1, 1}, digest_of("z"), 300, kNow).has_value());
  EXPECT_EQ(store_->begin(kJob, {1, 1}, 2048 * kMiB, kNow).code, Code::kResourceExhausted);
}

TEST_F(CheckpointStoreTest, WhatIsNotInTheManifestIsRemoved) {
  TestCheckpoint checkpoint = a_checkpoint(kJob, {1, 1});
  ASSERT_TRUE(store_->begin(kJob, {1, 1}, 10'000, kNow).ok());
  for (const CheckpointFile& file : checkpoint.manifest.files)
    ASSERT_TRUE(
        send_file(*store_, checkpoint.manifest, file, checkpoint.contents.at(file.name), kNow)
            .ok());
  auto straggler = store_->begin_file(kJob, {1, 1}, digest_of("late"), 4, kNow);
  ASSERT_TRUE(straggler.has_value());
  checkpoint.manifest.files.pop_back();
  ASSERT_TRUE(store_->commit(checkpoint.manifest, 3, kNow).has_value());
  EXPECT_FALSE((*straggler)->write(bytes_of("late"), kNow).ok());
  straggler->reset();
  EXPECT_EQ(files_.contents().size(), 3U);  // two files and the manifest
}

TEST_F(CheckpointStoreTest, AFullDiskRefusesAndTheOldOnesStay) {
  ASSERT_TRUE(put({1, 1}).ok());
  files_.set_capacity(5000);
  config_.free_bytes_min = 1000;
  reopen();
  const Status refused = store_->begin(kJob, {1, 2}, 4000, kNow);
  EXPECT_EQ(refused.code, Code::kResourceExhausted);
  EXPECT_THAT(refused.message, HasSubstr("3.9 KiB"));
  // What is announced is promised, before a byte of it is there.
  ASSERT_TRUE(store_->begin(kJob, {1, 2}, 1000, kNow).ok());
  EXPECT_EQ(store_->begin(JobId(8), {1, 2}, 1500, kNow).code, Code::kResourceExhausted);
  ASSERT_TRUE(store_->abandon(kJob, {1, 2}).ok());
  EXPECT_TRUE(store_->begin(JobId(8), {1, 2}, 1500, kNow).ok());
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{1, 1}));
  EXPECT_TRUE(store_->verify(kJob, {1, 1}).ok());
}

TEST_F(CheckpointStoreTest, EachFlippedBitIsFoundAndTheLastGoodOneIsTaken) {
  for (std::uint64_t step = 1; step <= 3; ++step) ASSERT_TRUE(put({1, step}).ok());
  const std::string path = path_of({1, 3}, "rank-0/adam");
  for (std::size_t at = 0; at < files_.contents().at(path).size(); ++at) {
    flip(path, at);
    const Status status = store_->verify(kJob, {1, 3});
    EXPECT_EQ(status.code, Code::kInternal);
    EXPECT_THAT(status.message, HasSubstr("rank-0/adam"));
    flip(path, at);
  }
  EXPECT_TRUE(store_->verify(kJob, {1, 3}).ok());
  flip(path, 3);
  flip(path_of({1, 2}, "state"), 1);
  const auto good = store_->last_good(kJob);
  ASSERT_TRUE(good.has_value());
  ASSERT_NE(good->manifest, nullptr);
  EXPECT_EQ(good->manifest->step, 1U);
  ASSERT_EQ(good->skipped.size(), 2U);
  EXPECT_EQ(good->skipped[0].key, (CheckpointKey{1, 3}));
  EXPECT_THAT(good->skipped[0].why, HasSubstr("rank-0/adam of the checkpoint at step 3"));
  EXPECT_THAT(good->skipped[1].why, HasSubstr("state of the checkpoint at step 2"));
  EXPECT_FALSE(store_->list(kJob)[0].damage.empty());
  // Those known to be damaged do not count among what is kept.
  ASSERT_TRUE(put({2, 2}, 2).ok());
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{2, 2}, CheckpointKey{1, 1}));
}

TEST_F(CheckpointStoreTest, AMissingOrShortFileIsDamage) {
  ASSERT_TRUE(put({1, 1}).ok());
  ASSERT_TRUE(put({1, 2}).ok());
  ASSERT_TRUE(files_.remove(path_of({1, 2}, "state")).ok());
  files_.overwrite(path_of({1, 1}, "model.safetensors"), "short");
  EXPECT_THAT(store_->verify(kJob, {1, 2}).message, HasSubstr("state"));
  EXPECT_THAT(store_->verify(kJob, {1, 1}).message, HasSubstr("5 bytes instead of 1300"));
  EXPECT_EQ(store_->last_good(kJob)->manifest, nullptr);
  EXPECT_EQ(store_->last_good(kJob)->skipped.size(), 2U);
  EXPECT_EQ(store_->verify(kJob, {1, 3}).code, Code::kNotFound);
}

TEST_F(CheckpointStoreTest, ADamagedManifestHidesItsCheckpointAndIsTold) {
  ASSERT_TRUE(put({1, 1}).ok());
  ASSERT_TRUE(put({1, 2}).ok());
  flip("/data/checkpoints/7/1-2/manifest", 200);
  reopen();
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{1, 1}));
  const auto good = store_->last_good(kJob);
  EXPECT_EQ(good->manifest->step, 1U);
  ASSERT_EQ(good->skipped.size(), 1U);
  EXPECT_THAT(good->skipped[0].why, HasSubstr("checksum"));
  // The next attempt comes to the same step, and what is left of the damaged one goes.
  ASSERT_TRUE(put({2, 2}).ok());
  EXPECT_FALSE(files_.contents().contains("/data/checkpoints/7/1-2/manifest"));
  // A manifest in another's folder is not taken for its own.
  const std::string other = files_.contents().at("/data/checkpoints/7/1-1/manifest");
  files_.overwrite("/data/checkpoints/7/2-2/manifest", other);
  reopen();
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{1, 1}));
}

TEST_F(CheckpointStoreTest, HalfWrittenOnesEnd) {
  const TestCheckpoint checkpoint = a_checkpoint(kJob, {1, 1});
  const CheckpointFile& file = checkpoint.manifest.files.front();
  const auto half = [&](CheckpointKey key) {
    EXPECT_TRUE(store_->begin(kJob, key, 5000, kNow).ok());
    auto upload = store_->begin_file(kJob, key, file.digest, file.size_bytes, kNow);
    EXPECT_TRUE((*upload)->write(bytes_of(checkpoint.contents.at(file.name)), kNow).ok());
    return std::move(*upload);
  };
  // With their attempt.
  auto upload = half({1, 1});
  ASSERT_TRUE(put({2, 1}).ok());
  EXPECT_EQ(upload->finish().code, Code::kAborted);
  upload.reset();
  EXPECT_EQ(store_->begin_file(kJob, {1, 1}, file.digest, 1, kNow).error().code, Code::kNotFound);
  // With time.
  upload = half({2, 2});
  EXPECT_EQ(store_->sweep(kNow + Duration(60'000)), 0U);
  EXPECT_EQ(store_->sweep(kNow + Duration(60'001)), 1U);
  EXPECT_EQ(upload->write(bytes_of("x"), kNow).code, Code::kAborted);
  upload.reset();
  // When a later one is stored.
  upload = half({2, 3});
  ASSERT_TRUE(put({2, 4}).ok());
  EXPECT_EQ(upload->finish().code, Code::kAborted);
  upload.reset();
  // With the process.
  upload = half({2, 5});
  EXPECT_TRUE(upload->finish().ok());
  upload.reset();
  reopen();
  EXPECT_EQ(store_->open_count(), 0U);
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{2, 4}, CheckpointKey{2, 1}));
  EXPECT_EQ(files_.contents().size(), 8U);
}

TEST_F(CheckpointStoreTest, BoundsOnHowManyAreWritten) {
  for (std::uint64_t step = 1; step <= 4; ++step)
    ASSERT_TRUE(store_->begin(kJob, {1, step}, 1, kNow).ok());
  EXPECT_EQ(store_->begin(kJob, {1, 5}, 1, kNow).code, Code::kResourceExhausted);
  for (std::uint64_t job = 100; job < 104; ++job)
    ASSERT_TRUE(store_->begin(JobId(job), {1, 1}, 1, kNow).ok());
  EXPECT_EQ(store_->begin(JobId(104), {1, 1}, 1, kNow).code, Code::kResourceExhausted);
  EXPECT_EQ(store_->begin(JobId(105), {1, 1}, 2048 * kMiB, kNow).code, Code::kResourceExhausted);
  ASSERT_TRUE(store_->begin(kJob, {2, 1}, 1, kNow).code == Code::kResourceExhausted);
}

TEST_F(CheckpointStoreTest, WhatIsReadStaysUntilItIsRead) {
  ASSERT_TRUE(put({1, 1}).ok());
  const TestCheckpoint sent = a_checkpoint(kJob, {1, 1});
  const auto blob = store_->open_file(kJob, {1, 1}, "model.safetensors");
  {
    const CheckpointStore::Pin pin(*store_, kJob, {1, 1});
    ASSERT_TRUE(put({1, 2}, 1).ok());
    EXPECT_EQ(read_all(*store_, kJob, {1, 1}, "state"), sent.contents.at("state"));
  }
  ASSERT_TRUE(put({1, 3}, 1).ok());
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{1, 3}));
  std::string content(blob->size_bytes, '\0');
  ASSERT_TRUE(blob->file->read_at(0, std::as_writable_bytes(std::span(content))).ok());
  EXPECT_EQ(content, sent.contents.at("model.safetensors"));
}

TEST_F(CheckpointStoreTest, ADroppedJobLeavesNothing) {
  ASSERT_TRUE(put({1, 1}).ok());
  ASSERT_TRUE(put({1, 1}, 3, JobId(8)).ok());
  ASSERT_TRUE(store_->begin(kJob, {1, 2}, 10, kNow).ok());
  EXPECT_THAT(store_->jobs().value(), ElementsAre(kJob, JobId(8)));
  ASSERT_TRUE(store_->drop(kJob).ok());
  ASSERT_TRUE(store_->drop(kJob).ok());
  EXPECT_TRUE(keys().empty());
  EXPECT_EQ(store_->open_count(), 0U);
  EXPECT_THAT(store_->jobs().value(), ElementsAre(JobId(8)));
  EXPECT_EQ(files_.contents().size(), 4U);
  // And may come again: restored from a backup, say.
  ASSERT_TRUE(put({3, 1}).ok());
  EXPECT_THAT(keys(), ElementsAre(CheckpointKey{3, 1}));
}

TEST_F(CheckpointStoreTest, AFailedSyncEndsAllWriting) {
  ASSERT_TRUE(put({1, 1}).ok());
  files_.fail_once(FileOp::kSync, error(Code::kDataLoss, "Input/output error."));
  EXPECT_EQ(put({1, 2}).code, Code::kDataLoss);
  EXPECT_EQ(put({1, 2}).code, Code::kDataLoss);
  EXPECT_EQ(put({1, 1}, 3, JobId(8)).code, Code::kDataLoss);
  EXPECT_EQ(store_->drop(kJob).code, Code::kDataLoss);
  EXPECT_TRUE(store_->verify(kJob, {1, 1}).ok());
}

}  // namespace
}  // namespace overwinter::artifacts
