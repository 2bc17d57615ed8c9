#include "worker/exec/bundled_mpi.h"

#include <gtest/gtest.h>

namespace overwinter::worker::exec {
namespace {

TEST(BundledMpi, ItsVariablesAreKnownAgainAndNoOthersAre) {
  const auto variables = bundled_mpi_variables("/opt/overwinter");
  EXPECT_EQ(variables.at("OPAL_PREFIX"), "/opt/overwinter");
  EXPECT_EQ(variables.at("OPAL_PKGLIBDIR"), "/opt/overwinter/lib/openmpi");
  for (const auto& [name, value] : variables) {
    EXPECT_TRUE(is_bundled_mpi_variable(name)) << name;
    EXPECT_TRUE(value.starts_with("/opt/overwinter")) << value;
  }
  // What mpirun itself tells its ranks stays.
  for (const char* name : {"PMIX_SERVER_TMPDIR", "PMIX_RANK", "OMPI_MCA_pml", "OPAL_", "PATH", ""})
    EXPECT_FALSE(is_bundled_mpi_variable(name)) << name;
}

}  // namespace
}  // namespace overwinter::worker::exec
