#include "worker/exec/mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

TEST(MountsTest, WhatAnOperatorAllows) {
  EXPECT_EQ(parse_allowed_mount("/mnt/data").value(), (AllowedMount{"/mnt/data", ""}));
  EXPECT_EQ(parse_allowed_mount("/mnt/./x/../data/=vision").value(),
            (AllowedMount{"/mnt/data", "vision"}));
  for (const char* text : {"", "data", "/", "/..", "/mnt=", "=p", "../x"})
    EXPECT_FALSE(parse_allowed_mount(text).has_value()) << text;
}

class MountDecisionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "mounts-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    base_ = fs::canonical(form);
    fs::create_directories(base_ / "open/sub");
    fs::create_directories(base_ / "opened");
    fs::create_directories(base_ / "vision");
    fs::create_directory_symlink(base_ / "vision", base_ / "open/link");
    allowed_ = {{path("open"), ""}, {path("vision"), "vision"}};
  }
  void TearDown() override { fs::remove_all(base_); }
  std::string path(const std::string& name) const { return (base_ / name).string(); }
  Result<std::vector<Mount>> ask(const std::string& inside, const std::string& outside,
                                 const std::string& project = "other") const {
    return resolve_mounts(allowed_, project, {{inside, outside}}, can_bind_);
  }

  fs::path base_;
  std::vector<AllowedMount> allowed_;
  bool can_bind_ = false;
};

TEST_F(MountDecisionTest, IsMadeByTheRealPathAndTheProject) {
  EXPECT_EQ(ask("data", path("open/sub")).value()[0], (Mount{"data", path("open/sub"), false}));
  EXPECT_EQ(ask("data", path("open") + ":rw").value()[0], (Mount{"data", path("open"), true}));
  EXPECT_EQ(ask(path("open"), path("open")).value()[0], (Mount{"", path("open"), false}));
  EXPECT_EQ(ask("v", path("vision"), "vision").value()[0].outside, path("vision"));
  for (const std::string& outside :
       {path("vision"), path("opened"), path("open/link"), path("open/../opened"),
        path("open/missing"), path(""), std::string("/etc")})
    EXPECT_EQ(ask("data", outside).error().code, Code::kPermissionDenied) << outside;
  // Where a link leads is what counts: allowed to the project of that folder.
  EXPECT_TRUE(ask("data", path("open/link"), "vision").has_value());
}

TEST_F(MountDecisionTest, PathsThatCannotBeAreSaid) {
  for (const char* inside : {"/data", "..", "a/../b", "./a", ""})
    EXPECT_EQ(ask(inside, path("open")).error().code, Code::kInvalidArgument) << inside;
  EXPECT_EQ(ask("data", "relative").error().code, Code::kInvalidArgument);
  EXPECT_THAT(ask("/data", path("open")).error().hint, testing::HasSubstr("data: "));
}

TEST_F(MountDecisionTest, OtherAbsolutePathsWhereTheyCanBeBound) {
  can_bind_ = true;
  EXPECT_EQ(ask("/no-such-folder/data/", path("open")).value()[0],
            (Mount{"/no-such-folder/data", path("open"), false}));
  EXPECT_EQ(ask(path("opened"), path("open")).value()[0].inside, path("opened"));
  for (const char* inside : {"/", "/etc", "/usr/share/data", "/proc/1", "/tmp/no/such/folder"})
    EXPECT_EQ(ask(inside, path("open")).error().code, Code::kInvalidArgument) << inside;
}

}  // namespace
}  // namespace overwinter::worker::exec
