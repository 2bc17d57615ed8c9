#include "worker/runtime/host_facts.h"

#include <gtest/gtest.h>
#include <sys/statvfs.h>

namespace overwinter::worker {
namespace {

TEST(HostFacts, SpaceIsWhatTheSystemSays) {
  struct statvfs system {};
  ASSERT_EQ(::statvfs("/tmp", &system), 0);
  const DiskSpace space = space_in("/tmp");
  EXPECT_EQ(space.total_bytes, system.f_blocks * system.f_frsize);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

TEST(HostFacts, AFolderThatIsNotThereHasNoSpaceButAPlace) {
  EXPECT_EQ(space_in("/tmp/no/such/folder").total_bytes, 0U);
  EXPECT_EQ(space_for("/tmp/no/such/folder").total_bytes, space_in("/tmp").total_bytes);
  EXPECT_GT(space_for("/no-such-folder-of-anybody").total_bytes, 0U);
}

TEST(HostFacts, TheFirstProgramThatIsMissingIsNamed) {
  GangPrograms programs;
  programs.mpirun = programs.orted = programs.agent = "/bin/sh";
  programs.rank = programs.program_rank = "/bin/sh";
  EXPECT_EQ(why_no_open_mpi(programs), "");
  programs.rank = "/nowhere/overwinter-rank";
  EXPECT_EQ(why_no_open_mpi(programs), "overwinter-rank is missing beside overwinter-worker");
  programs.mpirun = "/nowhere/mpirun";
  EXPECT_EQ(why_no_open_mpi(programs), "Open MPI is not installed: no /nowhere/mpirun");
}

}  // namespace
}  // namespace overwinter::worker
