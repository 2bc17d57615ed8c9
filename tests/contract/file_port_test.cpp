// One behaviour for every FilePort: the machine's files and the ones that tests damage.
#include "coordinator/artifacts/file_port.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "coordinator/artifacts/artifact_folder.h"
#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

class AnyFilePort : public testing::TestWithParam<bool> {
 protected:
  AnyFilePort()
      : files_(GetParam() ? posix_files() : static_cast<FilePort&>(fault_)),
        root_(GetParam() ? folder_.path() : "/data") {}

  std::unique_ptr<File> create(const std::string& name) {
    Result<std::unique_ptr<File>> file = files_.open(root_ + "/" + name, OpenMode::kCreate);
    EXPECT_TRUE(file.has_value()) << file.error().message;
    return std::move(*file);
  }

  TemporaryFolder folder_;
  test::FaultFiles fault_;
  FilePort& files_;
  std::string root_;
};

TEST_P(AnyFilePort, WritesAndReadsAnywhere) {
  auto file = create("a");
  ASSERT_TRUE(file->write_at(5, bytes_of("hello")).ok());
  ASSERT_TRUE(file->write_at(0, bytes_of("01234")).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(*file->size_bytes(), 10U);
  std::string text(6, ' ');
  ASSERT_TRUE(file->read_at(3, std::as_writable_bytes(std::span(text))).ok());
  EXPECT_EQ(text, "34hell");
  EXPECT_EQ(file->read_at(5, std::as_writable_bytes(std::span(text))).code, Code::kOutOfRange);
  EXPECT_EQ(file->read_at(1'000, std::as_writable_bytes(std::span(text))).code, Code::kOutOfRange);
  EXPECT_TRUE(file->read_at(10, {}).ok());
}

TEST_P(AnyFilePort, AllocateGrowsWithZerosAndNeverShrinks) {
  auto file = create("a");
  ASSERT_TRUE(file->write_at(0, bytes_of("xy")).ok());
  ASSERT_TRUE(file->allocate(100'000).ok());
  EXPECT_EQ(*file->size_bytes(), 100'000U);
  std::string text(4, ' ');
  ASSERT_TRUE(file->read_at(0, std::as_writable_bytes(std::span(text))).ok());
  EXPECT_EQ(text, std::string("xy\0\0", 4));
  ASSERT_TRUE(file->allocate(10).ok());
  ASSERT_TRUE(file->allocate(0).ok());
  EXPECT_EQ(*file->size_bytes(), 100'000U);
}

TEST_P(AnyFilePort, ModesMeanWhatTheySay) {
  EXPECT_EQ(files_.open(root_ + "/none", OpenMode::kRead).error().code, Code::kNotFound);
  EXPECT_EQ(files_.open(root_ + "/none", OpenMode::kReadWrite).error().code, Code::kNotFound);
  EXPECT_EQ(files_.open(root_ + "/no/folder", OpenMode::kCreate).error().code, Code::kNotFound);
  (void)create("a");
  EXPECT_EQ(files_.open(root_ + "/a", OpenMode::kCreate).error().code, Code::kAlreadyExists);
  EXPECT_TRUE(files_.open(root_ + "/a", OpenMode::kReadWrite).has_value());
}

TEST_P(AnyFilePort, RenameReplaces) {
  ASSERT_TRUE(create("a")->write_at(0, bytes_of("new")).ok());
  ASSERT_TRUE(create("b")->write_at(0, bytes_of("old one")).ok());
  auto open = files_.open(root_ + "/b", OpenMode::kRead);
  ASSERT_TRUE(files_.rename(root_ + "/a", root_ + "/b").ok());
  ASSERT_TRUE(files_.sync_folder(root_).ok());
  EXPECT_EQ(*files_.file_size(root_ + "/b"), 3U);
  EXPECT_EQ(files_.file_size(root_ + "/a").error().code, Code::kNotFound);
  EXPECT_EQ(*(*open)->size_bytes(), 7U);  // who has the old one open keeps it
  EXPECT_EQ(files_.rename(root_ + "/a", root_ + "/c").code, Code::kNotFound);
}

TEST_P(AnyFilePort, FoldersAndLists) {
  ASSERT_TRUE(files_.make_folder(root_ + "/f").ok());
  ASSERT_TRUE(files_.make_folder(root_ + "/f").ok());
  (void)create("f/z");
  (void)create("f/a");
  EXPECT_EQ(*files_.list(root_ + "/f"), (std::vector<std::string>{"a", "z"}));
  EXPECT_FALSE(files_.remove_folder(root_ + "/f").ok());
  EXPECT_FALSE(files_.make_folder(root_ + "/f/a").ok());  // a file
  EXPECT_EQ(files_.file_size(root_ + "/f").error().code, Code::kNotFound);
  ASSERT_TRUE(files_.remove(root_ + "/f/a").ok());
  ASSERT_TRUE(files_.remove(root_ + "/f/z").ok());
  EXPECT_EQ(files_.remove(root_ + "/f/z").code, Code::kNotFound);
  ASSERT_TRUE(files_.remove_folder(root_ + "/f").ok());
  EXPECT_EQ(files_.list(root_ + "/f").error().code, Code::kNotFound);
  EXPECT_GT(*files_.free_bytes(root_), 0U);
}

TEST_P(AnyFilePort, TheFolderHasAFormatNumber) {
  const std::string root = root_ + "/artifacts";
  ASSERT_TRUE(open_artifact_folder(files_, root).ok());
  ASSERT_TRUE(open_artifact_folder(files_, root).ok());
  ASSERT_TRUE(files_.remove(root + "/FORMAT").ok());
  ASSERT_TRUE(files_.open(root + "/FORMAT", OpenMode::kCreate)
                  .value()
                  ->write_at(0, bytes_of("overwinter-artifacts 2\n"))
                  .ok());
  const Status newer = open_artifact_folder(files_, root);
  EXPECT_EQ(newer.code, Code::kFailedPrecondition);
  EXPECT_FALSE(newer.hint.empty());
}

INSTANTIATE_TEST_SUITE_P(Ports, AnyFilePort, testing::Bool(),
                         [](const auto& port) { return port.param ? "Posix" : "Fault"; });

TEST(PosixFiles, FilesAreTheOwnersAlone) {
  TemporaryFolder folder;
  ASSERT_TRUE(posix_files().open(folder.path() + "/a", OpenMode::kCreate).has_value());
  ASSERT_TRUE(posix_files().make_folder(folder.path() + "/f").ok());
  struct stat info {};
  ASSERT_EQ(::stat((folder.path() + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat((folder.path() + "/f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST(PosixFiles, ALinkIsNotFollowed) {
  TemporaryFolder folder;
  ASSERT_EQ(::symlink("/etc/hostname", (folder.path() + "/a").c_str()), 0);
  EXPECT_FALSE(posix_files().open(folder.path() + "/a", OpenMode::kRead).has_value());
  EXPECT_FALSE(posix_files().file_size(folder.path() + "/a").has_value());
}

TEST(PosixFiles, AFullDiskIsNotAnIoError) {
  const Result<std::unique_ptr<File>> full = posix_files().open("/dev/full", OpenMode::kReadWrite);
  ASSERT_TRUE(full.has_value()) << full.error().message;
  const Status status = (*full)->write_at(0, bytes_of("x"));
  EXPECT_EQ(status.code, Code::kResourceExhausted) << status.message;
  EXPECT_FALSE(is_fatal(status));
}

// The tool of the crash tests must itself lose what it should, and only that.
TEST(FaultFiles, LosesWhatWasNotSynced) {
  test::FaultFiles files;
  const auto write = [&](const std::string& path, bool sync, bool sync_folder) {
    auto file = files.open(path, OpenMode::kCreate).value();
    ASSERT_TRUE(file->write_at(0, bytes_of("content")).ok());
    if (sync) {
      ASSERT_TRUE(file->sync().ok());
    }
    if (sync_folder) {
      ASSERT_TRUE(files.sync_folder("/data").ok());
    }
  };
  write("/data/a", false, true);
  write("/data/b", true, true);
  write("/data/c", true, false);
  using Rest = test::FaultFiles::Rest;
  const std::map<std::string, std::string> least{{"/data/a", ""}, {"/data/b", "content"}};
  EXPECT_EQ(files.after_power_cut(Rest::kLost, 0)->contents(), least);
  EXPECT_EQ(files.after_power_cut(Rest::kKept, 0)->contents(), files.contents());
  std::set<std::map<std::string, std::string>> outcomes;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    outcomes.insert(files.after_power_cut(Rest::kRandom, seed)->contents());
  EXPECT_EQ(outcomes.size(), 4U);  // a's content, c's name
}

TEST(FaultFiles, TearsAWriteBySectors) {
  test::FaultFiles files;
  auto file = files.open("/data/a", OpenMode::kCreate).value();
  ASSERT_TRUE(file->write_at(0, bytes_of(std::string(2048, 'o'))).ok());
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(files.sync_folder("/data").ok());
  ASSERT_TRUE(file->write_at(0, bytes_of(std::string(2048, 'n'))).ok());
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    outcomes.insert(
        files.after_power_cut(test::FaultFiles::Rest::kRandom, seed)->contents().at("/data/a"));
  EXPECT_EQ(outcomes.size(), 16U);
}

TEST(FaultFiles, NothingWorksWithoutPower) {
  test::FaultFiles files;
  files.crash_after(2);
  auto file = files.open("/data/a", OpenMode::kCreate).value();
  ASSERT_TRUE(file->write_at(0, bytes_of("x")).ok());
  EXPECT_EQ(file->sync().code, Code::kUnavailable);
  EXPECT_TRUE(files.crashed());
  EXPECT_EQ(files.file_size("/data/a").error().code, Code::kUnavailable);
  EXPECT_EQ(files.log(), (std::vector<std::string>{"create /data/a", "write /data/a 0+1"}));
}

}  // namespace
}  // namespace overwinter::artifacts
