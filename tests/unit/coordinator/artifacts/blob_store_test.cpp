#include "coordinator/artifacts/blob_store.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

constexpr Time kStart = time_from_unix_ms(1'000'000);

class BlobStoreTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    Result<std::unique_ptr<BlobStore>> store = BlobStore::open(files_, "/data", config_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  static BlobKey key(std::string_view content, std::string project = "demo") {
    return {std::move(project), digest_of(content)};
  }
  Status upload(const BlobKey& to, std::string_view content) {
    Result<std::unique_ptr<BlobUpload>> upload = store_->begin_upload(to, content.size(), kStart);
    if (!upload) return upload.error();
    while (!content.empty()) {
      const std::size_t take = std::min<std::size_t>(content.size(), kMiB);
      if (Status status = (*upload)->write(bytes_of(content.substr(0, take)), kStart); !status.ok())
        return status;
      content.remove_prefix(take);
    }
    return (*upload)->finish();
  }
  std::string read(const BlobKey& from) {
    const Result<Blob> blob = store_->open_blob(from);
    EXPECT_TRUE(blob.has_value()) << blob.error().message;
    if (!blob) return {};
    std::string content(blob->size_bytes, ' ');
    EXPECT_TRUE(blob->file->read_at(0, std::as_writable_bytes(std::span(content))).ok());
    return content;
  }
  std::size_t files_on_disk() { return files_.contents().size(); }

  test::FaultFiles files_;
  BlobStoreConfig config_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(BlobStoreTest, WhatIsUploadedIsThere) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{kMiB}, std::size_t{2 * kMiB + 17}}) {
    const std::string content = random_text(size, size);
    EXPECT_FALSE(store_->has(key(content)));
    ASSERT_TRUE(upload(key(content), content).ok());
    EXPECT_TRUE(store_->has(key(content)));
    EXPECT_EQ(read(key(content)), content);
    EXPECT_EQ(upload(key(content), content).code, Code::kAlreadyExists);
  }
  reopen();
  EXPECT_EQ(read(key(random_text(1, 1))), random_text(1, 1));
  EXPECT_EQ(store_->uploads(), 0U);
}

TEST_F(BlobStoreTest, ProjectsDoNotSeeEachOther) {
  ASSERT_TRUE(upload(key("secret", "a"), "secret").ok());
  EXPECT_FALSE(store_->has(key("secret", "b")));
  EXPECT_EQ(store_->open_blob(key("secret", "b")).error().code, Code::kNotFound);
  EXPECT_EQ(store_->begin_upload(key("secret", "b"), 6, kStart).has_value(), true);
  ASSERT_TRUE(store_->remove(key("secret", "b")).ok());
  EXPECT_TRUE(store_->has(key("secret", "a")));
}

TEST_F(BlobStoreTest, NoNameOnDiskComesFromUserText) {
  const std::string names[] = {"../../etc", "a/b", std::string("x\0y", 3), "", "\xff\n"};
  for (const std::string& project : names)
    ASSERT_TRUE(upload(key("content", project), "content").ok());
  EXPECT_EQ(files_on_disk(), std::size(names));
  for (const auto& [path, content] : files_.contents()) {
    EXPECT_EQ(path.size(), std::string("/data/blobs//").size() + 128) << path;
    EXPECT_EQ(path.find_first_not_of("/abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
  }
}

TEST_F(BlobStoreTest, ContentThatIsNotItsDigestLeavesNothing) {
  const Status status = upload(key("announced"), "different");
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_FALSE(store_->has(key("announced")));
  EXPECT_FALSE(store_->has(key("different")));
  EXPECT_EQ(files_on_disk(), 0U);
}

TEST_F(BlobStoreTest, TooShortAndTooLong) {
  auto shorter = store_->begin_upload(key("content"), 7, kStart).value();
  ASSERT_TRUE(shorter->write(bytes_of("cont"), kStart).ok());
  const Status early = shorter->finish();
  EXPECT_EQ(early.code, Code::kInvalidArgument);
  EXPECT_NE(early.message.find("4 of the 7 bytes"), std::string::npos) << early.message;

  auto longer = store_->begin_upload(key("content"), 7, kStart).value();
  EXPECT_EQ(longer->write(bytes_of("contents"), kStart).code, Code::kInvalidArgument);
  const std::string piece(kMiB + 1, 'x');
  auto wide = store_->begin_upload(key(piece), piece.size(), kStart).value();
  EXPECT_EQ(wide->write(bytes_of(piece), kStart).code, Code::kInvalidArgument);
  longer.reset();
  wide.reset();
  EXPECT_EQ(files_on_disk(), 0U);
  EXPECT_EQ(store_->uploads(), 0U);
}

TEST_F(BlobStoreTest, UploadsAreBounded) {
  config_.uploads_max = 3;
  reopen();
  std::vector<std::unique_ptr<BlobUpload>> running;
  for (int i = 0; i < 3; ++i)
    running.push_back(store_->begin_upload(key(std::to_string(i)), 1, kStart).value());
  const Result<std::unique_ptr<BlobUpload>> fourth = store_->begin_upload(key("3"), 1, kStart);
  ASSERT_FALSE(fourth.has_value());
  EXPECT_EQ(fourth.error().code, Code::kResourceExhausted);
  running.pop_back();
  EXPECT_TRUE(store_->begin_upload(key("3"), 1, kStart).has_value());
}

TEST_F(BlobStoreTest, SizeAndDiskAreChecked) {
  config_.blob_bytes_max = 1000;
  config_.free_bytes_min = 5000;
  files_.set_capacity(7000);
  reopen();
  const Status large = store_->begin_upload(key("x"), 1001, kStart).error();
  EXPECT_EQ(large.code, Code::kResourceExhausted);
  EXPECT_NE(large.message.find("1000 B"), std::string::npos) << large.message;
  auto first = store_->begin_upload(key("x"), 1000, kStart).value();
  auto second = store_->begin_upload(key("y"), 1000, kStart).value();
  // What is announced is reserved: a third does not fit any more, though nothing was sent.
  const Status full = store_->begin_upload(key("z"), 1, kStart).error();
  EXPECT_EQ(full.code, Code::kResourceExhausted);
  EXPECT_NE(full.message.find("4.9 KiB free"), std::string::npos) << full.message;
  EXPECT_FALSE(full.hint.empty());
  first.reset();
  EXPECT_TRUE(store_->begin_upload(key("z"), 1, kStart).has_value());
}

TEST_F(BlobStoreTest, AFullDiskLeavesNothing) {
  const std::string content = random_text(3000, 1);
  for (const auto op : {test::FileOp::kAllocate, test::FileOp::kWrite, test::FileOp::kRename,
                        test::FileOp::kOpen, test::FileOp::kMakeFolder}) {
    reopen();
    files_.fail_once(op, error(Code::kResourceExhausted, "No space left."));
    EXPECT_EQ(upload(key(content), content).code, Code::kResourceExhausted);
    EXPECT_EQ(files_on_disk(), 0U);
    EXPECT_EQ(store_->uploads(), 0U);
    EXPECT_FALSE(store_->has(key(content)));
  }
  EXPECT_TRUE(upload(key(content), content).ok());
}

TEST_F(BlobStoreTest, AFailedSyncIsFatalAndShowsNothing) {
  files_.fail_once(test::FileOp::kSync, error(Code::kDataLoss, "Syncing failed."));
  EXPECT_TRUE(is_fatal(upload(key("content"), "content")));
  EXPECT_FALSE(store_->has(key("content")));
}

TEST_F(BlobStoreTest, SilentUploadsAreSwept) {
  auto silent = store_->begin_upload(key("silent"), 6, kStart).value();
  auto busy = store_->begin_upload(key("busy"), 4, kStart).value();
  const Time later = kStart + config_.upload_idle_max;
  ASSERT_TRUE(busy->write(bytes_of("bu"), later).ok());
  EXPECT_EQ(store_->sweep(later), 0U);
  EXPECT_EQ(store_->sweep(later + Duration{1}), 1U);
  EXPECT_EQ(files_on_disk(), 1U);
  EXPECT_EQ(silent->write(bytes_of("silent"), later).code, Code::kDeadlineExceeded);
  EXPECT_EQ(silent->finish().code, Code::kDeadlineExceeded);
  ASSERT_TRUE(busy->write(bytes_of("sy"), later).ok());
  EXPECT_TRUE(busy->finish().ok());
  EXPECT_EQ(store_->uploads(), 0U);
}

TEST_F(BlobStoreTest, LeftUploadsAreRemovedAtStart) {
  auto upload = store_->begin_upload(key("content"), 7, kStart).value();
  ASSERT_TRUE(upload->write(bytes_of("con"), kStart).ok());
  const auto after = files_.after_power_cut(test::FaultFiles::Rest::kKept, 0);
  EXPECT_EQ(after->contents().size(), 1U);
  ASSERT_TRUE(BlobStore::open(*after, "/data", config_).has_value());
  EXPECT_EQ(after->contents().size(), 0U);
}

TEST_F(BlobStoreTest, TwoUploadsOfTheSameContent) {
  auto first = store_->begin_upload(key("content"), 7, kStart).value();
  auto second = store_->begin_upload(key("content"), 7, kStart).value();
  ASSERT_TRUE(first->write(bytes_of("content"), kStart).ok());
  ASSERT_TRUE(second->write(bytes_of("content"), kStart).ok());
  EXPECT_TRUE(first->finish().ok());
  EXPECT_TRUE(second->finish().ok());
  EXPECT_EQ(second->finish().code, Code::kFailedPrecondition);
  EXPECT_EQ(read(key("content")), "content");
  EXPECT_EQ(files_on_disk(), 1U);
}

TEST_F(BlobStoreTest, RemovedBlobsStayReadableWhereOpen) {
  ASSERT_TRUE(upload(key("content"), "content").ok());
  const Blob blob = store_->open_blob(key("content")).value();
  ASSERT_TRUE(store_->remove(key("content")).ok());
  ASSERT_TRUE(store_->remove(key("content")).ok());
  EXPECT_FALSE(store_->has(key("content")));
  std::string content(7, ' ');
  ASSERT_TRUE(blob.file->read_at(0, std::as_writable_bytes(std::span(content))).ok());
  EXPECT_EQ(content, "content");
}

TEST_F(BlobStoreTest, DescribesMatrices) {
  const DenseMatrix matrix = random_matrix(formats::Dtype::kFloat64, 30, 20, 1);
  const std::string npy = matrix.npy(true);
  ASSERT_TRUE(upload(key(npy), npy).ok());
  const formats::NpyHeader header = store_->describe(key(npy)).value();
  EXPECT_EQ(header, (formats::NpyHeader{formats::Dtype::kFloat64, 30, 20, true, 128}));
  for (const std::string& bad : {std::string("no matrix"), npy.substr(0, 100), npy + "x"}) {
    ASSERT_TRUE(upload(key(bad), bad).ok());
    EXPECT_EQ(store_->describe(key(bad)).error().code, Code::kInvalidArgument);
  }
  EXPECT_EQ(store_->describe(key("none")).error().code, Code::kNotFound);
}

TEST_F(BlobStoreTest, ManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 30; ++i) {
        const std::string content = std::to_string(i % 20) + (i % 2 == 0 ? "" : std::to_string(t));
        const Status status = upload(key(content), content);
        EXPECT_TRUE(status.ok() || status.code == Code::kAlreadyExists) << status.message;
        EXPECT_EQ(read(key(content)), content);
        (void)store_->sweep(kStart);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->uploads(), 0U);
}

// Every point at which the power can go, while blobs are uploaded and one is removed.
TEST(BlobStoreCrash, WhatWasAcknowledgedIsThere) {
  using test::FaultFiles;
  const std::string contents[] = {random_text(5000, 1), "second", random_text(700, 3)};
  // Uploads in order; returns the contents that were acknowledged.
  const auto run = [&](FaultFiles& files) {
    std::vector<std::string> acknowledged;
    Result<std::unique_ptr<BlobStore>> store = BlobStore::open(files, "/data", {});
    if (!store) return acknowledged;
    for (const std::string& content : contents) {
      auto upload = (*store)->begin_upload({"p", digest_of(content)}, content.size(), kStart);
      if (!upload || !(*upload)->write(bytes_of(content), kStart).ok()) break;
      if (!(*upload)->finish().ok()) break;
      acknowledged.push_back(content);
    }
    return acknowledged;
  };
  // True when everything acknowledged is there, and nothing that is there is damaged.
  const auto holds = [&](FaultFiles& files, const std::vector<std::string>& acknowledged) {
    Result<std::unique_ptr<BlobStore>> store = BlobStore::open(files, "/data", {});
    EXPECT_TRUE(store.has_value()) << store.error().message;
    for (const std::string& content : contents) {
      const BlobKey key{"p", digest_of(content)};
      const bool must =
          std::find(acknowledged.begin(), acknowledged.end(), content) != acknowledged.end();
      const Result<Blob> blob = (*store)->open_blob(key);
      if (!blob && must) return false;
      if (!blob) continue;
      std::string found(blob->size_bytes, ' ');
      if (!blob->file->read_at(0, std::as_writable_bytes(std::span(found))).ok()) return false;
      if (found != content) return false;
    }
    return true;
  };
  const auto failures = [&](bool skip_file_sync, bool skip_folder_sync) {
    FaultFiles whole;
    run(whole);
    int failed = 0;
    for (std::uint64_t at = 0; at <= whole.operations(); ++at) {
      FaultFiles files;
      files.skip_file_sync = skip_file_sync;
      files.skip_folder_sync = skip_folder_sync;
      files.crash_after(at);
      const std::vector<std::string> acknowledged = run(files);
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const auto rest = seed == 0   ? FaultFiles::Rest::kLost
                          : seed == 1 ? FaultFiles::Rest::kKept
                                      : FaultFiles::Rest::kRandom;
        failed += holds(*files.after_power_cut(rest, seed), acknowledged) ? 0 : 1;
      }
    }
    return failed;
  };
  EXPECT_EQ(failures(false, false), 0);
  // The test has power: without either kind of sync it fails.
  EXPECT_GT(failures(true, false), 0);
  EXPECT_GT(failures(false, true), 0);
}

// A process is killed at every point, the next one sees a blob, and then the power goes: what it
// saw must stay.
TEST(BlobStoreCrash, WhatTheNextProcessSeesIsDurable) {
  using test::FaultFiles;
  const std::string content = random_text(900, 1);
  const BlobKey key{"p", digest_of(content)};
  int seen = 0;
  for (std::uint64_t killed = 0;; ++killed) {
    FaultFiles files;
    files.crash_after(killed);
    bool acknowledged = false;
    if (auto store = BlobStore::open(files, "/data", {}); store) {
      auto upload = (*store)->begin_upload(key, content.size(), kStart);
      acknowledged =
          upload && (*upload)->write(bytes_of(content), kStart).ok() && (*upload)->finish().ok();
    }
    const auto next = files.after_kill();
    if (BlobStore::open(*next, "/data", {}).value()->has(key)) {
      ++seen;
      const auto after = next->after_power_cut(FaultFiles::Rest::kLost, 0);
      const auto blob = BlobStore::open(*after, "/data", {}).value()->open_blob(key);
      ASSERT_TRUE(blob.has_value()) << "killed at " << killed;
      EXPECT_EQ(blob->size_bytes, content.size());
    }
    if (acknowledged) break;
  }
  EXPECT_GE(seen, 2);
}

TEST(BlobStoreCrash, WhatIsRemovedStaysAway) {
  test::FaultFiles files;
  auto store = BlobStore::open(files, "/data", {}).value();
  const BlobKey key{"p", digest_of("content")};
  {
    auto upload = store->begin_upload(key, 7, kStart).value();
    ASSERT_TRUE(upload->write(bytes_of("content"), kStart).ok());
    ASSERT_TRUE(upload->finish().ok());
  }
  ASSERT_TRUE(store->remove(key).ok());
  const auto after = files.after_power_cut(test::FaultFiles::Rest::kLost, 0);
  EXPECT_FALSE(BlobStore::open(*after, "/data", {}).value()->has(key));
}

}  // namespace
}  // namespace overwinter::artifacts
