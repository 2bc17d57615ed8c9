#include "common/security/file_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <iterator>

#include "common/security/switched_folder.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter {
namespace {

namespace fs = std::filesystem;
using test::must;
using testing::HasSubstr;

std::size_t entries(const fs::path& path) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

TEST(FileIoTest, WritesPrivatelyWhateverTheUmask) {
  const test::TemporaryFolder folder;
  const mode_t before = ::umask(0);
  EXPECT_TRUE(write_file_atomically(folder / "key", "secret").ok());
  ::umask(0777);
  EXPECT_TRUE(write_file_atomically(folder / "open", "public", kPublicFile).ok());
  ::umask(before);
  struct stat info {};
  ::stat((folder / "key").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ::stat((folder / "open").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  EXPECT_FALSE(others_can_access(folder / "key"));
  EXPECT_TRUE(others_can_access(folder / "open"));
  EXPECT_EQ(must(read_file(folder / "key", 100)), "secret");
}

TEST(FileIoTest, ReplacesWholeOrNotAtAll) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "f", "old").ok());
  ASSERT_TRUE(write_file_atomically(folder / "f", "new").ok());
  EXPECT_EQ(must(read_file(folder / "f", 3)), "new");
  EXPECT_EQ(entries(folder.path()), 1u);
  // A folder stands where the file should go: the rename fails and leaves nothing.
  fs::create_directory(folder / "d");
  EXPECT_FALSE(write_file_atomically(folder / "d", "x").ok());
  EXPECT_EQ(entries(folder.path()), 2u);
  EXPECT_EQ(write_file_atomically(folder / "none" / "f", "x").code, Code::kNotFound);
}

TEST(FileIoTest, ReadsWithABound) {
  const test::TemporaryFolder folder;
  folder.put("f", std::string(5000, 'x'));
  EXPECT_EQ(must(read_file(folder / "f", 5000)).size(), 5000u);
  EXPECT_THAT(read_file(folder / "f", 4999).error().message, HasSubstr("longer than 4999"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder / "pipe", 10).error().code, Code::kInvalidArgument);
  EXPECT_EQ(read_file("/dev/zero", 10).error().code, Code::kInvalidArgument);
}

TEST(FileIoTest, PrivateFolderIsMadeOrChecked) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(ensure_private_folder(folder / "d").ok());
  ASSERT_TRUE(ensure_private_folder(folder / "d").ok());
  struct stat info {};
  ::stat((folder / "d").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ::chmod((folder / "d").c_str(), 0711);
  EXPECT_THAT(ensure_private_folder(folder / "d").hint, HasSubstr("chmod 700"));
  folder.put("f", "");
  EXPECT_THAT(ensure_private_folder(folder / "f").message, HasSubstr("not a folder"));
}

TEST(SwitchedFolderTest, ChangesAsOneAndKeepsTheOneBefore) {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) {
    const fs::path old = folder / "set" / "a";
    const Result<std::string> before = read_file(old, 10);
    const fs::path pinned = i == 0 ? fs::path() : fs::canonical(old);
    const std::string content = std::to_string(i);
    ASSERT_TRUE(
        switch_folder(folder.path(), "set", {{"a", content, 0600}, {"b", content, 0644}}).ok());
    EXPECT_EQ(must(read_file(folder / "set" / "a", 10)), content);
    EXPECT_EQ(must(read_file(folder / "set" / "b", 10)), content);
    if (i > 0) {
      EXPECT_EQ(must(read_file(pinned, 10)), *before) << "a reader of the old set goes on";
    }
  }
  EXPECT_EQ(entries(folder.path()), 3u) << "the link, the set it names, the one before";
}

}  // namespace
}  // namespace overwinter
