#include "client/sdk/unpacked_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>

#include "common/formats/archive.h"

namespace overwinter::client {
namespace {

namespace fs = std::filesystem;

class UnpackBeside : public testing::Test {
 protected:
  UnpackBeside() {
    std::string name = (fs::temp_directory_path() / "overwinter-unpack-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "source" / "deep");
    put(root_ / "source" / "model.bin", "weights");
    put(root_ / "source" / "deep" / "log", "line\n");
    fs::create_directory(root_ / "here");
  }
  ~UnpackBeside() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  static void put(const fs::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
  }
  static std::string content(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  // The archive of the source, or its first bytes alone.
  Status fetch(const fs::path& file, std::size_t most = 1 << 20) {
    const auto listing = formats::list_folder(root_ / "source");
    std::string bytes;
    Status status = formats::write_archive(*listing, [&](std::span<const std::byte> piece) {
      bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return Status::success();
    });
    put(file, bytes.substr(0, most));
    ++fetched_;
    return status;
  }
  Status unpack(const fs::path& folder) {
    return unpack_beside(folder, [&](const fs::path& file) { return fetch(file); });
  }
  // What lies in the folder where the tests unpack to.
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(root_ / "here"), fs::directory_iterator()));
  }

  fs::path root_;
  int fetched_ = 0;
};

TEST_F(UnpackBeside, MakesTheFolder) {
  for (const std::string name : {"new", "with/parents", "slash/"}) {
    const Status status = unpack(root_ / "here" / name);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(content(root_ / "here" / name / "model.bin"), "weights");
    EXPECT_EQ(content(root_ / "here" / name / "deep" / "log"), "line\n");
  }
  EXPECT_EQ(entries(), 3U);
  fs::create_directory(root_ / "here" / "empty");
  ASSERT_TRUE(unpack(root_ / "here" / "empty").ok());
  EXPECT_EQ(content(root_ / "here" / "empty" / "model.bin"), "weights");
}

TEST_F(UnpackBeside, WhatIsInTheWayIsSaidBeforeAnythingIsFetched) {
  fs::create_directory(root_ / "here" / "full");
  put(root_ / "here" / "full" / "mine", "mine");
  put(root_ / "here" / "file", "mine");
  fs::create_directory(root_ / "target");
  fs::create_symlink(root_ / "target", root_ / "here" / "link");
  for (const char* name : {"full", "file", "link"}) {
    const Status status = unpack(root_ / "here" / name);
    EXPECT_EQ(status.code, Code::kAlreadyExists) << name << ": " << status.message;
    EXPECT_FALSE(status.hint.empty());
  }
  EXPECT_EQ(fetched_, 0);
  EXPECT_EQ(content(root_ / "here" / "full" / "mine"), "mine");
  EXPECT_EQ(content(root_ / "here" / "file"), "mine");
  EXPECT_TRUE(fs::is_empty(root_ / "target"));
}

TEST_F(UnpackBeside, TheCurrentFolderIsNotReplaced) {
  const fs::path before = fs::current_path();
  fs::current_path(root_ / "here");
  const Status status = unpack(".");
  fs::current_path(before);
  EXPECT_EQ(status.code, Code::kAlreadyExists);
  EXPECT_NE(status.message.find("current folder"), std::string::npos) << status.message;
}

TEST_F(UnpackBeside, WholeOrNotAtAll) {
  for (const std::size_t most : {std::size_t{0}, std::size_t{5}, std::size_t{40}}) {
    const Status cut = unpack_beside(root_ / "here" / "cut",
                                     [&](const fs::path& file) { return fetch(file, most); });
    EXPECT_EQ(cut.code, Code::kInternal) << cut.message;
  }
  const Status away = unpack_beside(root_ / "here" / "away", [&](const fs::path&) {
    return error(Code::kUnavailable, "the coordinator is away");
  });
  EXPECT_EQ(away.code, Code::kUnavailable);
  EXPECT_EQ(entries(), 0U);
}

}  // namespace
}  // namespace overwinter::client
