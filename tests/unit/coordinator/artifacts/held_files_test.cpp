// What is removed while a hold lasts stays readable by its old name, is gone for everybody else,
// and is given back at the end of the hold or at the next start.
#include "coordinator/artifacts/held_files.h"

#include <gtest/gtest.h>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

class HeldFilesTest : public testing::Test {
 protected:
  HeldFilesTest() : files_(std::move(*HeldFiles::open(disk_, "/data"))) {
    EXPECT_TRUE(disk_.make_folder("/data/blobs").ok());
  }
  void write(const std::string& path, const std::string& text) {
    auto file = files_->open(path, OpenMode::kCreate);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    ASSERT_TRUE((*file)->write_at(0, bytes_of(text)).ok());
  }
  static std::string read(const Result<std::unique_ptr<File>>& file) {
    if (!file) return file.error().message;
    std::string text(static_cast<std::size_t>(*(*file)->size_bytes()), '\0');
    EXPECT_TRUE((*file)->read_at(0, std::as_writable_bytes(std::span(text))).ok());
    return text;
  }

  test::FaultFiles disk_;
  std::unique_ptr<HeldFiles> files_;
};

TEST_F(HeldFilesTest, WithoutAHoldRemovedIsRemoved) {
  write("/data/blobs/a", "one");
  ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
  EXPECT_TRUE(files_->list("/data/held")->empty());
  EXPECT_EQ(files_->file_size("/data/blobs/a").error().code, Code::kNotFound);
}

TEST_F(HeldFilesTest, WhatIsRemovedInAHoldIsReadUntilItsEnd) {
  write("/data/blobs/a", "one");
  write("/data/blobs/b", "two");
  {
    const auto hold = std::move(*files_->hold());
    ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
    EXPECT_EQ(files_->file_size("/data/blobs/a").error().code, Code::kNotFound);
    EXPECT_EQ(*files_->list("/data/blobs"), std::vector<std::string>{"b"});
    EXPECT_EQ(read(hold->read("/data/blobs/a")), "one");
    EXPECT_EQ(read(hold->read("/data/blobs/b")), "two");
    EXPECT_EQ(hold->read("/data/blobs/c").error().code, Code::kNotFound);
    EXPECT_EQ(hold->removed(), std::vector<std::string>{"/data/blobs/a"});
    // A folder that is emptied in a hold can be removed.
    ASSERT_TRUE(files_->remove("/data/blobs/b").ok());
    EXPECT_TRUE(files_->remove_folder("/data/blobs").ok());
  }
  EXPECT_TRUE(files_->list("/data/held")->empty());
}

TEST_F(HeldFilesTest, OfTwoRemovalsOfOneNameTheFirstIsKept) {
  write("/data/blobs/a", "one");
  const auto hold = std::move(*files_->hold());
  ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
  write("/data/blobs/a", "later");
  ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
  EXPECT_EQ(read(hold->read("/data/blobs/a")), "one");
  EXPECT_EQ(files_->list("/data/held")->size(), 1U);
}

TEST_F(HeldFilesTest, HalfWrittenFilesAreNotKeptAndWhatIsNotThereIsNot) {
  ASSERT_TRUE(disk_.make_folder("/data/uploads").ok());
  write("/data/blobs/7.part", "x");
  write("/data/uploads/1", "x");
  const auto hold = std::move(*files_->hold());
  ASSERT_TRUE(files_->remove("/data/blobs/7.part").ok());
  ASSERT_TRUE(files_->remove("/data/uploads/1").ok());
  EXPECT_EQ(files_->remove("/data/blobs/none").code, Code::kNotFound);
  EXPECT_TRUE(hold->removed().empty());
  EXPECT_TRUE(files_->list("/data/held")->empty());
}

TEST_F(HeldFilesTest, OneHoldAtATime) {
  auto hold = std::move(*files_->hold());
  EXPECT_EQ(files_->hold().error().code, Code::kResourceExhausted);
  hold.reset();
  EXPECT_TRUE(files_->hold().has_value());
}

TEST_F(HeldFilesTest, WhatAKilledProcessKeptGoesAtTheNextStart) {
  write("/data/blobs/a", "one");
  auto hold = std::move(*files_->hold());
  ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
  const auto after = disk_.after_kill();
  ASSERT_EQ(after->list("/data/held")->size(), 1U);
  const auto next = HeldFiles::open(*after, "/data");
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE(after->list("/data/held")->empty());
  EXPECT_TRUE(after->list("/data/blobs")->empty());
}

// A removal that a hold turns into a rename is as durable as the removal: by its folder's sync.
TEST_F(HeldFilesTest, ARemovalIsDurableByItsFoldersSync) {
  write("/data/blobs/a", "one");
  ASSERT_TRUE(disk_.sync_folder("/data/blobs").ok());
  ASSERT_TRUE(disk_.sync_folder("/data").ok());
  const auto hold = std::move(*files_->hold());
  ASSERT_TRUE(files_->remove("/data/blobs/a").ok());
  ASSERT_TRUE(files_->sync_folder("/data/blobs").ok());
  const auto after = disk_.after_power_cut(test::FaultFiles::Rest::kLost, 1);
  EXPECT_TRUE(after->list("/data/blobs")->empty());
}

TEST_F(HeldFilesTest, AFailedRemovalIsSaidAndKeepsNothing) {
  write("/data/blobs/a", "one");
  const auto hold = std::move(*files_->hold());
  disk_.fail_once(test::FileOp::kRename, error(Code::kDataLoss, "the disk"));
  EXPECT_EQ(files_->remove("/data/blobs/a").code, Code::kDataLoss);
  EXPECT_TRUE(hold->removed().empty());
  EXPECT_EQ(read(hold->read("/data/blobs/a")), "one");
}

}  // namespace
}  // namespace overwinter::artifacts
