#include "worker/exec/confinement.h"

#include <sys/syscall.h>

#include <fstream>

#include "tests/unit/worker/exec/tree_fixture.h"
#include "worker/exec/syscall_filter.h"

namespace overwinter::worker::exec {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfinementTest : public TreeTest, public testing::WithParamInterface<As> {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    if (GetParam() == As::kOwnUid && !root()) GTEST_SKIP() << "needs root";
    if (GetParam() == As::kSameUid && landlock_abi() < kLandlockScopes)
      GTEST_SKIP() << "needs Landlock scopes";
  }
};

TEST_P(ConfinementTest, KeysAndOtherJobsCannotBeSeen) {
  // As open as files can be, so that Landlock alone is what hides them.
  const auto keys = base_ / "data";
  const auto other = base_ / "other-job";
  for (const auto& folder : {keys, other}) {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "secret") << "canary";
    ::chmod(folder.c_str(), 0777);
    ::chmod((folder / "secret").c_str(), 0666);
  }
  const std::string script =
      "cat " + (keys / "secret").string() + "; ls " + keys.string() + "; cat " +
      (other / "secret").string() + "; echo x > " + (other / "new").string() +
      "; cat /root/.bashrc; ls " + base_.string() + "; ln " + (keys / "secret").string() +
      " hard; ln -s " + (keys / "secret").string() + " soft; cat soft; echo mine > own; cat own";
  const TreeEnd end = run(order(script, GetParam()));
  EXPECT_TRUE(end.processes[0].succeeded());
  EXPECT_THAT(recorder_.text(), Not(HasSubstr("canary")));
  EXPECT_THAT(recorder_.lines(), testing::Contains("mine"));
  EXPECT_FALSE(std::filesystem::exists(other / "new"));
  EXPECT_FALSE(std::filesystem::exists(job_ / "hard"));
}

TEST_P(ConfinementTest, TheDaemonCannotBeSignalledReadOrTraced) {
  const std::string daemon = std::to_string(::getpid());
  const TreeEnd end = run(order("kill -TERM " + daemon + "; kill -KILL $PPID; cat /proc/" + daemon +
                                    "/environ | tr '\\0' '\\n'; ls /proc/" + daemon +
                                    "/root/; head -c 1 /proc/" + daemon + "/mem; echo end",
                                GetParam()));
  EXPECT_FALSE(end.keeper_lost);
  EXPECT_THAT(recorder_.lines(), testing::Contains("end"));
  EXPECT_THAT(recorder_.text(), Not(HasSubstr("\nusr\n")));
  EXPECT_THAT(recorder_.text(), Not(HasSubstr("HOME=/root")));
}

TEST_P(ConfinementTest, DangerousCallsAreRefused) {
  // Each must be refused by us: as root of a user namespace most of them would do something.
  const std::string script = R"(cat > calls.py <<'END'
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    print(name, "done" if result >= 0 else errno.errorcode[ctypes.get_errno()])
call("ptrace", 101, 0, 0, 0, 0)
call("unshare-user", 272, 0x10000000)
call("unshare-mount", 272, 0x00020000)
call("unshare-files", 272, 0x00000400)
call("clone-user", 56, 0x10000000 | 17, 0, 0, 0, 0)
call("clone3", 435, 0, 0)
call("setns", 308, 0, 0)
call("mount", 165, 0, 0, 0, 0, 0)
call("keyctl", 250, 0, -3, 1)
call("add_key", 248, 0, 0, 0, 0, 0)
call("bpf", 321, 0, 0, 0)
call("perf", 298, 0, 0, -1, -1, 0)
call("process_vm_readv", 310, 1, 0, 0, 0, 0, 0)
call("io_uring", 425, 1, 0)
call("userfaultfd", 323, 1)
call("finit_module", 313, 0, 0, 0)
call("open_by_handle", 304, -100, 0, 0)
call("getpid", 39)
END
/usr/bin/python3 calls.py; grep -E '^(NoNewPrivs|CapEff|CapPrm|CapBnd|Seccomp|Uid|Groups)' /proc/self/status; ulimit -c)";
  run(order(script, GetParam()));
  const std::string text = recorder_.text();
  for (const char* name : {"ptrace", "unshare-user", "unshare-mount", "clone-user", "setns",
                           "mount", "keyctl", "add_key", "bpf", "perf", "process_vm_readv",
                           "userfaultfd", "finit_module", "open_by_handle"})
    EXPECT_THAT(text, HasSubstr(std::string(name) + " EPERM\n"));
  EXPECT_THAT(text, HasSubstr("clone3 ENOSYS\n"));
  EXPECT_THAT(text, HasSubstr("io_uring ENOSYS\n"));
  EXPECT_THAT(text, HasSubstr("unshare-files done\n"));
  EXPECT_THAT(text, HasSubstr("getpid done\n"));
  EXPECT_THAT(text, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(text, HasSubstr("CapEff:\t0000000000000000\n"));
  EXPECT_THAT(text, HasSubstr("CapPrm:\t0000000000000000\n"));
  EXPECT_THAT(text, HasSubstr("Seccomp:\t2\n"));
  EXPECT_EQ(recorder_.lines().back(), "0");
  if (GetParam() == As::kOwnUid) {
    const std::string uid = std::to_string(test_uid());
    EXPECT_THAT(text, HasSubstr("Uid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid + "\n"));
    EXPECT_THAT(text, HasSubstr("CapBnd:\t0000000000000000\n"));
    EXPECT_THAT(text, HasSubstr("Groups:\t \n"));
  }
}

TEST_P(ConfinementTest, OrdinaryProgramsRun) {
  const TreeEnd end = run(order(R"(cat > work.py <<'END'
import multiprocessing, tempfile, threading, getpass, socket, subprocess
def double(x): return 2 * x
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(sum(pool.map(double, range(10))))
    thread = threading.Thread(target=lambda: print("thread")); thread.start(); thread.join()
    with tempfile.TemporaryFile() as file: file.write(b"x")
    queue = multiprocessing.Queue(); queue.put(1); print(queue.get())
    with socket.socket() as listener: listener.bind(("127.0.0.1", 0)); print("bound")
    print(subprocess.run(["bash", "-c", "echo child | cat"], capture_output=True, text=True).stdout)
END
/usr/bin/python3 work.py)",
                                GetParam()));
  EXPECT_TRUE(end.processes[0].succeeded()) << recorder_.text();
  for (const char* line : {"90", "thread", "1", "bound", "child"})
    EXPECT_THAT(recorder_.lines(), testing::Contains(line));
}

INSTANTIATE_TEST_SUITE_P(Both, ConfinementTest, testing::Values(As::kOwnUid, As::kSameUid),
                         name_of);

TEST(ConfinementSupport, IsDecidedByWhatThereIs) {
  EXPECT_TRUE(decide_confinement(true, 2, true, {"/etc/overwinter"}).can());
  EXPECT_EQ(decide_confinement(true, 7, true, {}).describe(), "own uid, Landlock ABI 7, seccomp");
  EXPECT_THAT(decide_confinement(true, 0, true, {}).why_not, HasSubstr("Landlock"));
  EXPECT_THAT(decide_confinement(true, 7, false, {}).why_not, HasSubstr("seccomp"));
  EXPECT_THAT(decide_confinement(false, 5, true, {}).why_not, HasSubstr("ABI 5, need 6"));
  EXPECT_TRUE(decide_confinement(false, 6, true, {"/var/lib/overwinter"}).can());
  EXPECT_THAT(decide_confinement(false, 6, true, {"/etc/overwinter"}).why_not,
              HasSubstr("/etc/overwinter lies below /etc"));
  EXPECT_TRUE(decide_confinement(false, 6, true, {"/etcetera"}).can());
}

TEST(ConfinementSupport, IsAskedOfThisKernel) {
  const ConfinementSupport support = can_confine({});
  EXPECT_EQ(support.landlock, landlock_abi());
  if (support.landlock >= kLandlockScopes) {
    EXPECT_TRUE(support.can()) << support.why_not;
  }
}

}  // namespace
}  // namespace overwinter::worker::exec
