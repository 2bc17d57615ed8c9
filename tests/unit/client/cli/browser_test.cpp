#include "client/cli/browser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter::cli {
namespace {

using test::must;
using test::TemporaryFolder;
using testing::HasSubstr;

constexpr const char* kAddress = "http://127.0.0.1:7680/login#code=ow1_abc";

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
unsigned mode_of(const std::filesystem::path& path) {
  struct stat found {};
  EXPECT_EQ(::stat(path.c_str(), &found), 0) << path;
  return found.st_mode & 0777;
}

TEST(LeadingFileTest, LiesInTheRuntimeFolderForItsOwnerAlone) {
  const TemporaryFolder runtime;
  ::setenv("XDG_RUNTIME_DIR", runtime.path().c_str(), 1);
  std::filesystem::path path;
  {
    LeadingFile file = must(LeadingFile::write(kAddress));
    path = file.path();
    EXPECT_EQ(path.parent_path(), runtime / "overwinter");
    EXPECT_EQ(mode_of(path), 0600u);
    EXPECT_EQ(mode_of(path.parent_path()), 0700u);
    EXPECT_THAT(text_of(path), HasSubstr(std::string("content=\"0; url=") + kAddress + '"'));
    const LeadingFile moved = std::move(file);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::exists(runtime / "overwinter"));
}

TEST(LeadingFileTest, WithoutOneItHasAFolderOfItsOwnThatGoesWithIt) {
  const TemporaryFolder open;
  std::filesystem::create_directory(open / "overwinter");
  std::filesystem::permissions(open / "overwinter", std::filesystem::perms::all);
  for (const char* runtime : {"", "relative", "/nowhere", open.path().c_str()}) {
    ::setenv("XDG_RUNTIME_DIR", runtime, 1);
    std::filesystem::path path;
    {
      const LeadingFile file = must(LeadingFile::write(kAddress));
      path = file.path();
      EXPECT_NE(path.parent_path().parent_path(), open.path());
      EXPECT_EQ(mode_of(path), 0600u);
      EXPECT_EQ(mode_of(path.parent_path()), 0700u);
    }
    EXPECT_FALSE(std::filesystem::exists(path.parent_path())) << runtime;
  }
  ::unsetenv("XDG_RUNTIME_DIR");
}

TEST(BrowserTest, NeedsADisplayAndAProgram) {
  const TemporaryFolder programs;
  const auto opener = programs.put("xdg-open", "#!/bin/sh\nexit 0\n");
  ::chmod(opener.c_str(), 0700);
  const std::string before = std::getenv("PATH");
  ::setenv("PATH", ("/nowhere:" + programs.path().string()).c_str(), 1);
  ::unsetenv("DISPLAY");
  ::unsetenv("WAYLAND_DISPLAY");
  EXPECT_FALSE(browser_at_hand());
  ::setenv("WAYLAND_DISPLAY", "wayland-0", 1);
  EXPECT_TRUE(browser_at_hand());
  ::setenv("PATH", "/nowhere", 1);
  EXPECT_FALSE(browser_at_hand());
  ::setenv("PATH", before.c_str(), 1);
  ::unsetenv("WAYLAND_DISPLAY");
}

// What a stand-in for xdg-open writes down: its arguments, its session and its environment.
TEST(BrowserTest, GetsTheFileAndNoTokenInASessionOfItsOwn) {
  const TemporaryFolder programs;
  const auto opener = programs.put(
      "xdg-open", "#!/bin/sh\n{ echo \"args $*\"; cut -d' ' -f1,6 /proc/$$/stat; env; } > " +
                      (programs / "seen").string() + "\nexit $(cat " +
                      (programs / "code").string() + ")\n");
  ::chmod(opener.c_str(), 0700);
  const std::string before = std::getenv("PATH");
  ::setenv("PATH", (programs.path().string() + ":" + before).c_str(), 1);
  ::setenv("OVERWINTER_TOKEN", "ow_secret", 1);
  for (const bool fails : {false, true}) {
    programs.put("code", fails ? "3" : "0");
    BrowserStart start = must(BrowserStart::open("/run/page.html"));
    siginfo_t ended{};
    EXPECT_EQ(::waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(start.failed(), fails);
    EXPECT_FALSE(start.failed()) << "it is said once";
    const std::string seen = text_of(programs / "seen");
    EXPECT_THAT(seen, HasSubstr("args /run/page.html\n"));
    const std::string pid = std::to_string(ended.si_pid);
    EXPECT_THAT(seen, HasSubstr('\n' + pid + ' ' + pid + '\n')) << "it leads a session";
    EXPECT_THAT(seen, testing::Not(HasSubstr("ow_secret")));
  }
  ::unsetenv("OVERWINTER_TOKEN");
  ::setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace overwinter::cli
