#include "common/security/host_id.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

namespace overwinter {
namespace {

// In a child with namespaces of its own; empty where that is not allowed.
std::string host_id_behind(int flags) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(flags) != 0) ::_exit(1);
    const std::string id = host_id("c");
    ::_exit(::write(pipe[1], id.data(), id.size()) == static_cast<ssize_t>(id.size()) ? 0 : 1);
  }
  ::close(pipe[1]);
  std::string out(16, '\0');
  const ssize_t n = ::read(pipe[0], out.data(), out.size());
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return n == 16 ? out : std::string();
}

TEST(HostId, IsTheSameForAllProcessesOfAMachineAndOfOneClusterAlone) {
  EXPECT_EQ(host_id("c").size(), 16U);
  EXPECT_EQ(host_id("c"), host_id_behind(CLONE_FS));
  EXPECT_NE(host_id("c"), host_id("d"));
}

TEST(HostId, AContainerIsAMachineOfItsOwn) {
  const std::string other = host_id_behind(CLONE_NEWNET);
  if (other.empty()) GTEST_SKIP() << "this user may make no network namespace";
  EXPECT_NE(host_id("c"), other);
}

}  // namespace
}  // namespace overwinter
