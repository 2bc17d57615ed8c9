#include "common/formats/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace overwinter::formats {
namespace {

namespace fs = std::filesystem;

class ArchiveTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "archive-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    base_ = form;
    in_ = base_ / "in";
    fs::create_directories(in_);
  }
  void TearDown() override { fs::remove_all(base_); }

  void write(const std::string& path, const std::string& text = "x") {
    fs::create_directories((in_ / path).parent_path());
    std::ofstream(in_ / path) << text;
  }
  std::vector<std::string> packed() {
    std::vector<std::string> paths;
    const auto listing = list_folder(in_);
    EXPECT_TRUE(listing.has_value());
    for (const ArchiveEntry& entry : listing->entries) paths.push_back(entry.path);
    return paths;
  }
  static std::string bytes_of(const FolderListing& listing) {
    std::string out;
    const Status status = write_archive(listing, [&](std::span<const std::byte> data) {
      out.append(reinterpret_cast<const char*>(data.data()), data.size());
      return Status::success();
    });
    EXPECT_TRUE(status.ok()) << status.message;
    return out;
  }
  Status unpack(std::string bytes, const UnpackOptions& options = {}) {
    const fs::path to = base_ / ("out" + std::to_string(++outs_));
    fs::create_directories(to);
    out_ = to;
    std::size_t at = 0;
    // In odd pieces, as a stream brings them.
    return unpack_archive(
        [&](std::span<std::byte> into) -> Result<std::size_t> {
          const std::size_t size = std::min({into.size(), bytes.size() - at, std::size_t{7}});
          std::memcpy(into.data(), bytes.data() + at, size);
          at += size;
          return size;
        },
        to, options);
  }

  fs::path base_;
  fs::path in_;
  fs::path out_;
  int outs_ = 0;
};

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// An archive by hand.
std::string entry(char kind, const std::string& path, const std::string& content) {
  const auto length = static_cast<std::uint32_t>(path.size());
  const std::uint64_t size = content.size();
  std::string out(1, kind);
  out.append(reinterpret_cast<const char*>(&length), 4);
  out += path;
  out.append(reinterpret_cast<const char*>(&size), 8);
  return out + content;
}
std::string archive(const std::vector<std::string>& entries) {
  std::string out("OWAR\1\0\0\0", 8);
  for (const std::string& one : entries) out += one;
  const std::uint64_t count = entries.size();
  out.append(1, '\0');
  out.append(reinterpret_cast<const char*>(&count), 8);
  return out;
}

TEST_F(ArchiveTest, AFolderComesBackAsItWas) {
  write("train.py", "print(1)\n");
  write("run.sh", "#!/bin/sh\n");
  ::chmod((in_ / "run.sh").c_str(), 0755);
  write("pkg/deep/data.bin", std::string(700'000, 'z'));
  fs::create_directories(in_ / "empty");
  fs::create_symlink("../train.py", in_ / "pkg/link");
  const auto listing = list_folder(in_);
  ASSERT_TRUE(listing.has_value());
  const std::string bytes = bytes_of(*listing);
  EXPECT_EQ(bytes.size(), listing->archive_bytes());
  ASSERT_TRUE(unpack(bytes).ok());
  EXPECT_EQ(text_of(out_ / "train.py"), "print(1)\n");
  EXPECT_EQ(text_of(out_ / "pkg/link"), "print(1)\n");
  EXPECT_EQ(fs::file_size(out_ / "pkg/deep/data.bin"), 700'000U);
  EXPECT_TRUE(fs::is_directory(out_ / "empty"));
  EXPECT_EQ(::access((out_ / "run.sh").c_str(), X_OK), 0);
  EXPECT_EQ(fs::status(out_ / "train.py").permissions(), fs::perms(0600));
  const auto again = list_folder(out_);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(archive_digest(*again).value(), archive_digest(*listing).value());
}

TEST_F(ArchiveTest, TheDigestIsOfTheContentAlone) {
  write("b", "1");
  write("a/c", "2");
  const Digest first = archive_digest(*list_folder(in_)).value();
  fs::remove_all(in_);
  write("a/c", "2");
  write("b", "1");
  ::chmod((in_ / "b").c_str(), 0604);
  fs::last_write_time(in_ / "b", fs::file_time_type::min());
  EXPECT_EQ(archive_digest(*list_folder(in_)).value(), first);
  write("b", "3");
  EXPECT_NE(archive_digest(*list_folder(in_)).value(), first);
}

TEST_F(ArchiveTest, IgnoreFilesAndGitAreHeeded) {
  write(".git/config");
  write("sub/.git", "gitdir: elsewhere");
  write(".gitignore", "*.bin\nout/\n");
  write("a.bin");
  write("out/x");
  write("keep");
  EXPECT_THAT(packed(), testing::ElementsAre(".gitignore", "keep", "sub"));
  write(".overwinterignore", "keep\n");
  EXPECT_THAT(packed(), testing::ElementsAre(".gitignore", ".overwinterignore", "a.bin", "out",
                                             "out/x", "sub"));
}

TEST_F(ArchiveTest, WhatPointsOutsideOrIsNoFileIsNamedAndLeftOut) {
  fs::create_symlink("/etc/passwd", in_ / "absolute");
  fs::create_symlink("../elsewhere", in_ / "up");
  ASSERT_EQ(::mkfifo((in_ / "pipe").c_str(), 0600), 0);
  write("file");
  const auto listing = list_folder(in_);
  ASSERT_TRUE(listing.has_value());
  EXPECT_EQ(listing->entries.size(), 1U);
  EXPECT_THAT(listing->left_out, testing::ElementsAre("absolute", "pipe", "up"));
}

TEST_F(ArchiveTest, TooLargeNamesTheFiveLargest) {
  for (int i = 1; i <= 7; ++i)
    write("f" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 100, 'x'));
  const auto listing = list_folder(in_, 2000);
  ASSERT_FALSE(listing.has_value());
  EXPECT_EQ(listing.error().code, Code::kResourceExhausted);
  EXPECT_THAT(listing.error().message,
              testing::HasSubstr("f7 (700 B), f6 (600 B), f5 (500 B), f4 (400 B), f3 (300 B)"));
  EXPECT_THAT(listing.error().message, testing::Not(testing::HasSubstr("f2")));
  EXPECT_EQ(list_folder(in_ / "no").error().code, Code::kNotFound);
}

TEST_F(ArchiveTest, AFileThatChangesWhileReadIsSaid) {
  write("a", "12345");
  auto listing = list_folder(in_);
  for (const char* text : {"123", "1234567"}) {
    write("a", text);
    EXPECT_EQ(archive_digest(*listing).error().code, Code::kAborted);
  }
}

TEST_F(ArchiveTest, HostilePathsAndLinksAreRefused) {
  for (const std::string& path :
       {std::string("/abs"), std::string("../up"), std::string("a/../../b"), std::string(""),
        std::string("a//b"), std::string("./a"), std::string("a/"), std::string("a\0b", 3)})
    EXPECT_EQ(unpack(archive({entry(2, path, "x")})).code, Code::kInvalidArgument) << path;
  for (const char* target : {"/etc", "..", "x/..", "../x", "", "a/../../b"})
    EXPECT_EQ(unpack(archive({entry(4, "l", target)})).code, Code::kInvalidArgument) << target;
  // "here" leads to the root, so "here/.." would lead above it.
  EXPECT_FALSE(unpack(archive({entry(4, "here", "."), entry(4, "up", "here/..")})).ok());
  // Through a link nothing is written.
  EXPECT_FALSE(unpack(archive({entry(1, "d", ""), entry(4, "l", "d"), entry(2, "l/x", "x")})).ok());
  EXPECT_FALSE(unpack(archive({entry(2, "f", ""), entry(2, "f/x", "x")})).ok());
  EXPECT_FALSE(unpack(archive({entry(2, "b", ""), entry(2, "a", "")})).ok());
  EXPECT_FALSE(unpack(archive({entry(2, "a", ""), entry(2, "a", "")})).ok());
  EXPECT_FALSE(unpack(archive({entry(1, "d", "content")})).ok());
  EXPECT_FALSE(unpack(archive({entry(9, "d", "")})).ok());
  EXPECT_TRUE(
      unpack(archive({entry(1, "d", ""), entry(4, "d/l", "../d/x"), entry(2, "d/x", "x")})).ok());
}

TEST_F(ArchiveTest, SizesThatLieTakeNoMemory) {
  std::string huge = entry(2, "a", "");
  std::memset(huge.data() + huge.size() - 8, 0xff, 8);
  EXPECT_EQ(unpack(std::string("OWAR\1\0\0\0", 8) + huge).code, Code::kResourceExhausted);
  std::string path = entry(2, "a", "");
  std::memset(path.data() + 1, 0xff, 4);
  EXPECT_EQ(unpack(std::string("OWAR\1\0\0\0", 8) + path).code, Code::kInvalidArgument);
  std::string link = entry(4, "a", "");
  std::memset(link.data() + link.size() - 8, 0x7f, 8);
  EXPECT_EQ(unpack(std::string("OWAR\1\0\0\0", 8) + link).code, Code::kInvalidArgument);
  EXPECT_EQ(
      unpack(archive({entry(2, "a", "12345"), entry(2, "b", "12345")}), {.bytes_max = 9}).code,
      Code::kResourceExhausted);
}

TEST_F(ArchiveTest, NoPieceOfAnArchiveIsTakenForTheWhole) {
  write("a/b", "content");
  fs::create_symlink("a/b", in_ / "l");
  const std::string bytes = bytes_of(*list_folder(in_));
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(unpack(bytes.substr(0, length)).ok()) << length;
  EXPECT_FALSE(unpack(bytes + "x").ok());
  EXPECT_TRUE(unpack(bytes).ok());
}

TEST_F(ArchiveTest, FlippedBitsNeverLeaveTheFolder) {
  write("a/b", "content");
  fs::create_symlink("a/b", in_ / "l");
  const std::string bytes = bytes_of(*list_folder(in_));
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 3) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    (void)unpack(flipped);
  }
  // "in", and one folder for each try: nothing was made beside them.
  EXPECT_EQ(std::distance(fs::directory_iterator(base_), {}), outs_ + 1);
}

}  // namespace
}  // namespace overwinter::formats
