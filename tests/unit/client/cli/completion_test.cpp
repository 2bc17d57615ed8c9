#include "client/cli/completion.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace overwinter::cli {
namespace {

// bash itself reads the script and completes.
TEST(Completion, BashCompletesCommandsAndOptions) {
  CompletionTree tree;
  tree.commands.push_back({"jobs", "List jobs", {"list", "get"}, {"--filter"}});
  tree.commands.push_back({"join", "It's a word with a quote", {}, {}});
  const std::string path = testing::TempDir() + "/overwinter-completion.bash";
  std::ofstream(path)
      << completion_script(tree, "bash")
      << "\nCOMP_WORDS=(overwinter jobs l); COMP_CWORD=2; _overwinter; echo \"${COMPREPLY[@]}\""
      << "\nCOMP_WORDS=(overwinter jobs --f); COMP_CWORD=2; _overwinter; echo \"${COMPREPLY[@]}\""
      << "\nCOMP_WORDS=(overwinter jo); COMP_CWORD=1; _overwinter; echo \"${COMPREPLY[@]}\"\n";
  FILE* bash = popen(("bash " + path).c_str(), "r");
  ASSERT_NE(bash, nullptr);
  char buffer[256] = {};
  const std::size_t n = fread(buffer, 1, sizeof buffer - 1, bash);
  EXPECT_EQ(pclose(bash), 0);
  EXPECT_EQ(std::string(buffer, n), "list\n--filter\njobs join\n");
  std::remove(path.c_str());
}

TEST(Completion, FishQuotesDescriptions) {
  CompletionTree tree;
  tree.commands.push_back({"up", "It's on", {}, {"--dir"}});
  const std::string script = completion_script(tree, "fish");
  EXPECT_NE(script.find("-d 'It'\\''s on'"), std::string::npos);
  EXPECT_NE(script.find("-l dir"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::cli
