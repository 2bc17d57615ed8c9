#include "worker/exec/checkpoint_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;

// A checkpoint_dir as a program changes it, and time.
class CheckpointWatchTest : public testing::Test {
 protected:
  void write(const std::string& path, bool open = false, bool complete = true) {
    ++clock_;
    files_[path] = {{path, 100, clock_, 1, 7}, open, complete};
  }
  void close(const std::string& path) { files_[path].open_for_writing = false; }
  // From a passing name, in one step.
  void rename_to(const std::string& path) {
    write(path);
    renamed_.insert(path.substr(0, path.find('/')));
  }
  std::vector<std::string> step(int seconds) {
    now_ += milliseconds(seconds * 1000);
    const auto set = watch_.step(now_, snapshot());
    renamed_.clear();
    std::vector<std::string> paths;
    if (set)
      for (const InsideFile& file : set->files) paths.push_back(file.path);
    return paths;
  }
  CheckpointSnapshot snapshot() const {
    CheckpointSnapshot out;
    for (const auto& [path, file] : files_) out.files.push_back(file);
    out.renamed = renamed_;
    return out;
  }

  std::map<std::string, CheckpointFile> files_;
  std::set<std::string> renamed_;
  std::int64_t clock_ = 0;
  milliseconds now_{0};
  CheckpointWatch watch_{CheckpointSnapshot{}};
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(CheckpointWatchTest, AFileIsWholeFiveSecondsAfterItsLastChange) {
  write("model.pt");
  EXPECT_THAT(step(1), IsEmpty());
  EXPECT_THAT(step(4), IsEmpty());
  write("model.pt");
  EXPECT_THAT(step(4), IsEmpty());
  EXPECT_THAT(step(4), IsEmpty());
  EXPECT_THAT(step(1), ElementsAre("model.pt"));
  EXPECT_THAT(step(100), IsEmpty());  // once
}

TEST_F(CheckpointWatchTest, NotWhileItIsOpenOrIncomplete) {
  write("model.pt", true);
  EXPECT_THAT(step(1), IsEmpty());
  EXPECT_THAT(step(100), IsEmpty());
  close("model.pt");
  EXPECT_THAT(step(1), ElementsAre("model.pt"));
  write("model.pt", false, false);
  EXPECT_THAT(step(100), IsEmpty());
  EXPECT_THAT(step(100), IsEmpty());
}

TEST_F(CheckpointWatchTest, WhatWasRenamedIsWholeAtOnce) {
  write("model.pt.tmp", true);
  EXPECT_THAT(step(1), IsEmpty());
  files_.clear();
  rename_to("model.pt");
  EXPECT_THAT(step(1), ElementsAre("model.pt"));
  // The next one on its way hides nothing and is not collected.
  write("model.pt.tmp", true);
  EXPECT_THAT(step(10), IsEmpty());
  rename_to("model.pt");
  EXPECT_THAT(step(1), ElementsAre("model.pt"));
}

TEST_F(CheckpointWatchTest, WrittenOverInPlaceItIsNoLongerTheRenamedOne) {
  rename_to("model.pt");
  EXPECT_THAT(step(1), ElementsAre("model.pt"));
  write("model.pt");
  EXPECT_THAT(step(1), IsEmpty());
  EXPECT_THAT(step(5), ElementsAre("model.pt"));
}

TEST_F(CheckpointWatchTest, FilesBelongTogether) {
  write("model.pt");
  EXPECT_THAT(step(4), IsEmpty());
  write("optimizer.pt");
  EXPECT_THAT(step(2), IsEmpty());
  EXPECT_THAT(step(5), ElementsAre("model.pt", "optimizer.pt"));
}

TEST_F(CheckpointWatchTest, OfFoldersTheNewestWholeOne) {
  write("step-1/model.pt");
  write("step-1/state");
  EXPECT_THAT(step(0), IsEmpty());
  EXPECT_THAT(step(5), ElementsAre("step-1/model.pt", "step-1/state"));
  write("step-2/model.pt", true);
  EXPECT_THAT(step(10), IsEmpty());
  close("step-2/model.pt");
  EXPECT_THAT(step(5), ElementsAre("step-2/model.pt"));
  rename_to("step-3/model.pt");
  EXPECT_THAT(step(0), ElementsAre("step-3/model.pt"));
}

TEST_F(CheckpointWatchTest, DoneSaysSoUnlessTheFolderChangedAfterIt) {
  write("step-1/a");
  write("step-1/b");
  write("step-1/DONE");
  EXPECT_THAT(step(0), ElementsAre("step-1/DONE", "step-1/a", "step-1/b"));
  write("step-1/a");
  EXPECT_THAT(step(0), IsEmpty());
  EXPECT_THAT(step(1), IsEmpty());
  write("step-1/DONE");
  EXPECT_THAT(step(0), ElementsAre("step-1/DONE", "step-1/a", "step-1/b"));
  files_.clear();
  write("model");
  write("DONE");
  EXPECT_THAT(step(0), ElementsAre("DONE", "model"));
}

TEST_F(CheckpointWatchTest, AFileThatNamesAFolderWaitsForIt) {
  write("step-1/model.pt");
  rename_to("latest");
  EXPECT_THAT(step(0), IsEmpty());
  EXPECT_THAT(step(5), ElementsAre("latest", "step-1/model.pt"));
  write("step-2/model.pt", true);
  rename_to("latest");
  EXPECT_THAT(step(60), IsEmpty());
}

TEST_F(CheckpointWatchTest, WhatWasRestoredIsNoNews) {
  write("model.pt");
  CheckpointWatch watch(snapshot());
  EXPECT_FALSE(watch.step(milliseconds(1000), snapshot()).has_value());
  EXPECT_FALSE(watch.step(milliseconds(60000), snapshot()).has_value());
  write("model.pt");
  EXPECT_FALSE(watch.step(milliseconds(61000), snapshot()).has_value());
  const auto set = watch.step(milliseconds(66000), snapshot());
  ASSERT_TRUE(set.has_value());
  EXPECT_EQ(set->bytes(), 100U);
  EXPECT_TRUE(CheckpointWatch::unchanged(*set, snapshot()));
  write("model.pt");
  EXPECT_FALSE(CheckpointWatch::unchanged(*set, snapshot()));
}

}  // namespace
}  // namespace overwinter::worker::exec
