#include "worker/runtime/gang_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <optional>

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

class GangFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 64> name{"/tmp/ow-gangs-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name.data();
    places_ = {"ice", base_ / "lib" / "jobs", base_ / "run"};
  }
  void TearDown() override { fs::remove_all(base_); }
  [[nodiscard]] Result<GangFolder> make(std::uint64_t job = 7) const {
    return GangFolder::make(places_, gang_name({JobId(job), 2}), ::geteuid(), ::getegid());
  }
  static unsigned mode(const fs::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }
  [[nodiscard]] fs::path lock() const { return places_.sockets / "ice-7-2.lock"; }

  fs::path base_;
  GangPlaces places_;
};

TEST_F(GangFolderTest, is_private_in_passable_parents_and_leaves_nothing) {
  {
    auto folder = make();
    ASSERT_TRUE(folder) << folder.error().message;
    EXPECT_EQ(folder->path(), places_.jobs / "ice" / "7-2");
    EXPECT_EQ(mode(folder->path()), 0700U);
    EXPECT_EQ(mode(places_.jobs / "ice"), 0711U);
    EXPECT_EQ(mode(places_.sockets), 0711U);
    std::ofstream(folder->path() / "file") << "x";
    EXPECT_EQ(make().error().code, Code::kAlreadyExists);
    EXPECT_TRUE(make(8));
  }
  EXPECT_TRUE(fs::is_empty(places_.jobs / "ice"));
  EXPECT_TRUE(fs::is_empty(places_.sockets));
  EXPECT_TRUE(make());
}

TEST_F(GangFolderTest, one_that_was_left_is_not_taken_over) {
  fs::create_directories(places_.jobs / "ice" / "7-2");
  std::ofstream(places_.jobs / "ice" / "7-2" / "file") << "x";
  EXPECT_EQ(make().error().code, Code::kAlreadyExists);
  EXPECT_TRUE(fs::exists(places_.jobs / "ice" / "7-2" / "file"));
}

TEST_F(GangFolderTest, the_sweep_takes_what_is_left_and_not_what_lives) {
  auto living = make(8);
  ASSERT_TRUE(living);
  const fs::path left = places_.jobs / "ice" / "7-2";
  fs::create_directories(left);
  std::ofstream(places_.sockets / "ice-7-2.sock") << "";
  const Swept swept = sweep_gangs(places_);
  EXPECT_EQ(swept.folders, 1U);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_FALSE(fs::exists(places_.sockets / "ice-7-2.sock"));
  EXPECT_TRUE(fs::exists(living->path()));
  EXPECT_EQ(sweep_gangs(places_).folders, 0U);
}

TEST_F(GangFolderTest, the_sweep_ends_processes_that_know_the_socket_and_no_others_of_our_user) {
  fs::create_directories(places_.jobs / "ice" / "7-2");
  const auto sleeper = [](const std::string& variable) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execle("/bin/sleep", "sleep", "100", nullptr,
               std::array<const char*, 2>{variable.c_str(), nullptr}.data());
      ::_exit(127);
    }
    // Its environment is there once it is another program.
    for (std::string name; name != "sleep\n";) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
      name.assign(std::istreambuf_iterator<char>(file), {});
    }
    return pid;
  };
  const pid_t ours =
      sleeper("OVERWINTER_GANG_SOCKET=" + (places_.sockets / "ice-7-2.sock").string());
  const pid_t other = sleeper("OVERWINTER_GANG_SOCKET=/run/elsewhere.sock");
  EXPECT_EQ(sweep_gangs(places_).processes, 1U);
  int status = 0;
  EXPECT_EQ(::waitpid(ours, &status, 0), ours);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(::waitpid(other, &status, WNOHANG), 0);
  ::kill(other, SIGKILL);
  ::waitpid(other, &status, 0);
}

}  // namespace
}  // namespace overwinter::worker
