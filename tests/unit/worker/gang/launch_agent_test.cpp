#include "worker/gang/launch_agent.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

using Words = std::vector<std::string>;

TEST(SplitAsShell, what_open_mpi_writes) {
  const auto words = split_as_shell(
      R"( orted --daemonize -mca ess "env" -mca orte_hnp_uri "1.0;tcp://10.0.0.1:7700" --mca btl "tcp,self" )");
  ASSERT_TRUE(words) << words.error().message;
  EXPECT_EQ(*words, (Words{"orted", "--daemonize", "-mca", "ess", "env", "-mca", "orte_hnp_uri",
                           "1.0;tcp://10.0.0.1:7700", "--mca", "btl", "tcp,self"}));
}

TEST(SplitAsShell, quotes_and_backslashes) {
  EXPECT_EQ(*split_as_shell(R"(a'b c'"d e" \  "" '' "\"\\" '\')"),
            (Words{"ab cd e", " ", "", "", "\"\\", "\\"}));
  EXPECT_EQ(*split_as_shell("  \t "), Words{});
}

TEST(SplitAsShell, what_needs_a_shell_is_refused) {
  for (const char* bad : {"orted; id", "orted & id", "orted | id", "orted > f", "orted $(id)",
                          "orted `id`", "orted \"$HOME\"", "orted \"`id`\"", "(orted)", "orted *",
                          "orted\nid", "orted 'open", "orted \"open", "orted \\"}) {
    EXPECT_FALSE(split_as_shell(bad)) << bad;
  }
}

}  // namespace
}  // namespace overwinter::worker
