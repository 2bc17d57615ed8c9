#include "worker/exec/tree_verdict.h"

#include <gtest/gtest.h>

namespace overwinter::worker::exec {
namespace {

ProcessEnd ended(std::optional<int> code, int signal = 0) {
  ProcessEnd end;
  end.started = true;
  end.exit_code = code;
  end.signal = signal;
  return end;
}

TEST(TreeVerdict, SaysWhatCameFirst) {
  TreeEnd end;
  EXPECT_FALSE(judge(end).good) << "no process is no success";
  end.processes = {ended(0), ended(0)};
  EXPECT_TRUE(judge(end).good);
  EXPECT_EQ(judge(end).message, "");
  end.processes = {ended(0), ended(3), ended({}, 9)};
  EXPECT_EQ(judge(end).process, 1U);
  EXPECT_EQ(judge(end).message, "the program ended with exit code 3");
  EXPECT_EQ(judge(end, 2).signal, 9) << "the order of their ends is known";
  end.processes = {ended({}, 11)};
  EXPECT_EQ(judge(end).signal, 11);
  EXPECT_EQ(judge(end).message, "the program was ended by signal 11 (Segmentation fault)");
  end.keeper_lost = true;
  EXPECT_NE(judge(end).message.find("keeps"), std::string::npos);
  end.over_limit = true;
  end.limit_bytes = std::uint64_t{64} << 20;
  end.peak_bytes = std::uint64_t{65} << 20;
  EXPECT_EQ(judge(end).message, "ended for its memory: 65.0 MiB of 64.0 MiB allowed");
  end.refused = error(Code::kNotFound, "there is no program x");
  EXPECT_EQ(judge(end).message, "there is no program x");
}

TEST(TreeVerdict, NamesWhatIsMissingFromALog) {
  EXPECT_NE(dropped_text(3 << 20).find("3.0 MiB"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::worker::exec
