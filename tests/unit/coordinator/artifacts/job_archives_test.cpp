#include "coordinator/artifacts/job_archives.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

using test::FaultFiles;
using test::FileOp;

constexpr Time kStart = time_from_unix_ms(1'764'000'000'000);
constexpr JobId kJob{7};
constexpr auto kOutputs = JobArchiveKind::kOutputs;
constexpr auto kWorkdir = JobArchiveKind::kWorkdir;

JobArchivesConfig small_config() {
  JobArchivesConfig config;
  config.free_bytes_min = 0;
  return config;
}

Status send(JobArchives& store, JobId job, JobArchiveKind kind, AttemptNumber attempt,
            std::string_view content, Time now = kStart) {
  auto upload = store.begin({job, kind, attempt, digest_of(content)}, content.size(), now);
  if (!upload) return upload.error();
  while (!content.empty()) {
    const std::size_t take = std::min<std::size_t>(content.size(), kMiB);
    if (Status status = (*upload)->write(bytes_of(content.substr(0, take)), now); !status.ok())
      return status;
    content.remove_prefix(take);
  }
  return (*upload)->finish();
}

Result<std::string> read(const JobArchives& store, JobId job, JobArchiveKind kind,
                         Time now = kStart) {
  auto archive = store.get(job, kind, now);
  if (!archive) return fail(archive.error());
  std::string content(archive->blob.size_bytes, ' ');
  Status status = archive->blob.file->read_at(0, std::as_writable_bytes(std::span(content)));
  if (!status.ok()) return fail(std::move(status));
  if (archive->digest != digest_of(content)) return fail(Code::kDataLoss, "other content");
  return content;
}

class JobArchivesTest : public testing::Test {
 protected:
  JobArchivesTest() { reopen(); }
  void reopen() {
    store_.reset();
    auto store = JobArchives::open(files_, "/data", config_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  std::size_t files_on_disk() { return files_.contents().size(); }

  FaultFiles files_;
  JobArchivesConfig config_ = small_config();
  std::unique_ptr<JobArchives> store_;
};

TEST_F(JobArchivesTest, WhatIsStoredIsThereAfterARestart) {
  const std::string outputs = random_text(2 * kMiB + 17, 1);
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, outputs).ok());
  ASSERT_TRUE(send(*store_, kJob, kWorkdir, 1, "folder").ok());
  ASSERT_TRUE(send(*store_, JobId(8), kOutputs, 1, "of another").ok());
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(read(*store_, kJob, kOutputs).value(), outputs);
    EXPECT_EQ(read(*store_, kJob, kWorkdir).value(), "folder");
    EXPECT_EQ(store_->get(JobId(8), kWorkdir, kStart).error().code, Code::kNotFound);
    EXPECT_EQ(store_->jobs(), (std::vector<JobId>{kJob, JobId(8)}));
    reopen();
  }
}

TEST_F(JobArchivesTest, ALaterOneReplacesAnEarlierOne) {
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "first").ok());
  const auto held = store_->get(kJob, kOutputs, kStart);
  // The clock may stand or go back: the later one counts all the same, after a restart too.
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "second", kStart - Duration(5)).ok());
  reopen();
  EXPECT_EQ(read(*store_, kJob, kOutputs).value(), "second");
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 2, "third").ok());
  EXPECT_EQ(read(*store_, kJob, kOutputs).value(), "third");
  EXPECT_EQ(files_on_disk(), 1U);
  std::string content(5, ' ');  // who reads the replaced one reads on
  EXPECT_TRUE(held->blob.file->read_at(0, std::as_writable_bytes(std::span(content))).ok());
  EXPECT_EQ(content, "first");
  EXPECT_EQ(send(*store_, kJob, kOutputs, 1, "of an old attempt").code, Code::kAborted);
  EXPECT_EQ(read(*store_, kJob, kOutputs).value(), "third");
}

TEST_F(JobArchivesTest, AnOldAttemptThatEndsLaterReplacesNothing) {
  auto old = store_->begin({kJob, kOutputs, 1, digest_of("old")}, 3, kStart);
  ASSERT_TRUE((*old)->write(bytes_of("old"), kStart).ok());
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 2, "new").ok());
  EXPECT_EQ((*old)->finish().code, Code::kAborted);
  EXPECT_EQ(read(*store_, kJob, kOutputs).value(), "new");
  EXPECT_EQ(files_on_disk(), 1U);
}

TEST_F(JobArchivesTest, TheSameAgainNeedsNotBeSent) {
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "content").ok());
  EXPECT_EQ(send(*store_, kJob, kOutputs, 1, "content").code, Code::kAlreadyExists);
  EXPECT_TRUE(send(*store_, kJob, kOutputs, 2, "content").ok());  // but it is the new attempt's
  EXPECT_EQ(store_->get(kJob, kOutputs, kStart)->attempt, 2U);
}

TEST_F(JobArchivesTest, OnlyWhatIsWholeIsVisible) {
  EXPECT_EQ(store_->get(kJob, kOutputs, kStart).error().code, Code::kNotFound);
  {
    auto half = store_->begin({kJob, kOutputs, 1, digest_of("whole")}, 5, kStart);
    ASSERT_TRUE((*half)->write(bytes_of("who"), kStart).ok());
    EXPECT_EQ((*half)->finish().code, Code::kInvalidArgument);
  }
  {
    auto other = store_->begin({kJob, kOutputs, 1, digest_of("whole")}, 5, kStart);
    ASSERT_TRUE((*other)->write(bytes_of("other"), kStart).ok());
    EXPECT_EQ((*other)->finish().code, Code::kInvalidArgument);
  }
  {
    auto longer = store_->begin({kJob, kOutputs, 1, digest_of("whole")}, 5, kStart);
    EXPECT_EQ((*longer)->write(bytes_of("whole and more"), kStart).code, Code::kInvalidArgument);
  }
  auto left = store_->begin({kJob, kOutputs, 1, digest_of("whole")}, 5, kStart);
  EXPECT_EQ(files_on_disk(), 1U);
  left->reset();
  EXPECT_EQ(files_on_disk(), 0U);
  EXPECT_EQ(store_->get(kJob, kOutputs, kStart).error().code, Code::kNotFound);
}

TEST_F(JobArchivesTest, AFolderStaysADay) {
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "outputs").ok());
  ASSERT_TRUE(send(*store_, kJob, kWorkdir, 1, "folder").ok());
  const Time last = kStart + kWorkdirKept - Duration(1);
  ASSERT_TRUE(store_->sweep(last).ok());
  EXPECT_EQ(read(*store_, kJob, kWorkdir, last).value(), "folder");
  const Time over = kStart + kWorkdirKept;
  EXPECT_EQ(store_->get(kJob, kWorkdir, over).error().code, Code::kNotFound);  // swept or not
  reopen();
  ASSERT_TRUE(store_->sweep(over).ok());
  EXPECT_EQ(files_on_disk(), 1U);
  EXPECT_EQ(read(*store_, kJob, kOutputs, over).value(), "outputs");
}

TEST_F(JobArchivesTest, SilentUploadsEndAndGiveTheirPlaceBack) {
  config_.uploads_max = 1;
  reopen();
  auto silent = store_->begin({kJob, kOutputs, 1, digest_of("x")}, 1, kStart);
  ASSERT_TRUE(silent.has_value());
  EXPECT_EQ(send(*store_, JobId(8), kOutputs, 1, "y").code, Code::kResourceExhausted);
  const Time later = kStart + config_.upload_idle_max + Duration(1);
  ASSERT_TRUE(store_->sweep(later).ok());
  EXPECT_EQ((*silent)->write(bytes_of("x"), later).code, Code::kDeadlineExceeded);
  EXPECT_TRUE(send(*store_, JobId(8), kOutputs, 1, "y").ok());
}

TEST_F(JobArchivesTest, SizeAndDiskAreLookedAtFirst) {
  config_.archive_bytes_max = 10;
  config_.free_bytes_min = 1000;
  reopen();
  const Status large = send(*store_, kJob, kOutputs, 1, "eleven chars");
  EXPECT_EQ(large.code, Code::kInvalidArgument);
  EXPECT_NE(large.message.find("the most that is stored is"), std::string::npos);
  files_.set_capacity(1005);
  const Status full = send(*store_, kJob, kOutputs, 1, "six ch");
  EXPECT_EQ(full.code, Code::kResourceExhausted);
  EXPECT_NE(full.message.find("free"), std::string::npos);
  EXPECT_EQ(files_on_disk(), 0U);
  EXPECT_TRUE(send(*store_, kJob, kOutputs, 1, "five!").ok());
  EXPECT_GT(JobArchivesConfig{}.archive_bytes_max, 4 * kGiB);
}

TEST_F(JobArchivesTest, AJobsFilesGoTogether) {
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "outputs").ok());
  ASSERT_TRUE(send(*store_, kJob, kWorkdir, 1, "folder").ok());
  ASSERT_TRUE(send(*store_, JobId(8), kOutputs, 1, "stays").ok());
  ASSERT_TRUE(store_->drop(kJob).ok());
  ASSERT_TRUE(store_->drop(JobId(99)).ok());
  EXPECT_EQ(files_on_disk(), 1U);
  EXPECT_EQ(store_->jobs(), std::vector<JobId>{JobId(8)});
  reopen();
  EXPECT_EQ(store_->get(kJob, kOutputs, kStart).error().code, Code::kNotFound);
}

TEST_F(JobArchivesTest, AShortenedFileIsAnErrorAndForeignNamesAreLeftAlone) {
  ASSERT_TRUE(send(*store_, kJob, kOutputs, 1, "outputs").ok());
  files_.overwrite(files_.contents().begin()->first, "out");
  EXPECT_EQ(store_->get(kJob, kOutputs, kStart).error().code, Code::kInternal);
  ASSERT_TRUE(files_.open("/data/archives/7/outputs-1-x-y", OpenMode::kCreate).has_value());
  reopen();
  EXPECT_EQ(store_->jobs(), std::vector<JobId>{kJob});
}

// Every operation of three replacements × {power cut, killed}, with what was not synced lost, kept
// or in part: the newest that was acknowledged is there, whole.
const std::vector<std::string> kLives{"first", "the second one", "3"};

Status live(FaultFiles& files, std::size_t& acknowledged) {
  auto store = JobArchives::open(files, "/data", small_config());
  if (!store) return store.error();
  for (std::size_t i = acknowledged; i < kLives.size(); ++i) {
    const auto attempt = static_cast<AttemptNumber>(1 + i / 2);
    Status status = send(**store, kJob, kOutputs, attempt, kLives[i]);
    // Its acknowledgement was lost.
    if (!status.ok() && status.code != Code::kAlreadyExists) return status;
    acknowledged = i + 1;
  }
  return Status::success();
}

std::string damage(FaultFiles& files, std::size_t acknowledged) {
  auto store = JobArchives::open(files, "/data", small_config());
  if (!store) return "the store does not open: " + store.error().message;
  for (const auto& [path, content] : files.contents())
    if (path.ends_with(".part")) return "left: " + path;
  const auto found = read(**store, kJob, kOutputs);
  if (!found && found.error().code != Code::kNotFound) return found.error().message;
  if (!found) return acknowledged == 0 ? "" : "what was acknowledged is gone";
  for (std::size_t i = 0; i < kLives.size(); ++i)
    if (*found == kLives[i]) return i + 1 >= acknowledged ? "" : "an older one is back";
  return "content that nobody sent";
}

std::size_t crash_everywhere(const std::function<void(FaultFiles&)>& plant, std::string* first) {
  FaultFiles undisturbed;
  plant(undisturbed);
  std::size_t all = 0;
  EXPECT_TRUE(live(undisturbed, all).ok());
  EXPECT_GT(undisturbed.operations(), 20U);
  std::size_t bad = 0;
  for (std::uint64_t at = 0; at <= undisturbed.operations(); ++at) {
    FaultFiles files;
    plant(files);
    files.crash_after(at);
    std::size_t acknowledged = 0;
    (void)live(files, acknowledged);
    std::vector<std::unique_ptr<FaultFiles>> worlds;
    worlds.push_back(files.after_kill());
    for (const auto rest : {FaultFiles::Rest::kLost, FaultFiles::Rest::kKept})
      worlds.push_back(files.after_power_cut(rest, at));
    for (std::uint64_t seed = 0; seed < 8; ++seed)
      worlds.push_back(files.after_power_cut(FaultFiles::Rest::kRandom, at * 100 + seed));
    for (const auto& world : worlds) {
      const std::string found = damage(*world, acknowledged);
      if (!found.empty()) {
        ++bad;
        if (first->empty()) *first = "after " + std::to_string(at) + ": " + found;
        continue;
      }
      std::size_t going_on = acknowledged;
      if (!live(*world, going_on).ok() || !damage(*world, kLives.size()).empty()) ++bad;
    }
  }
  return bad;
}

TEST(JobArchivesCrash, WhatWasAcknowledgedIsThereWhole) {
  std::string first;
  EXPECT_EQ(crash_everywhere([](FaultFiles&) {}, &first), 0U) << first;
}

TEST(JobArchivesCrash, AMissingSyncIsFound) {
  std::string first;
  EXPECT_GT(crash_everywhere([](FaultFiles& files) { files.skip_file_sync = true; }, &first), 0U);
  EXPECT_GT(crash_everywhere([](FaultFiles& files) { files.skip_folder_sync = true; }, &first), 0U);
}

TEST(JobArchivesCrash, ADiskThatFailsOnceCostsOneTry) {
  for (const FileOp op : {FileOp::kOpen, FileOp::kWrite, FileOp::kAllocate, FileOp::kRename,
                          FileOp::kMakeFolder, FileOp::kSync, FileOp::kSyncFolder}) {
    for (std::uint64_t skip = 0; skip < 3; ++skip) {
      for (const Code code : {Code::kResourceExhausted, Code::kDataLoss}) {
        FaultFiles files;
        auto store = JobArchives::open(files, "/data", small_config());
        ASSERT_TRUE(store.has_value());
        files.fail_once(op, error(code, "the disk"), skip);
        std::size_t acknowledged = 0;
        for (std::size_t i = 0; i < kLives.size(); ++i) {
          const Status status =
              send(**store, kJob, kOutputs, static_cast<AttemptNumber>(i + 1), kLives[i]);
          if (status.ok()) acknowledged = i + 1;
          if (is_fatal(status)) break;  // the process ends
        }
        store->reset();
        EXPECT_EQ(damage(*files.after_power_cut(FaultFiles::Rest::kLost, 1), acknowledged), "")
            << static_cast<int>(op) << " " << skip;
      }
    }
  }
}

}  // namespace
}  // namespace overwinter::artifacts
