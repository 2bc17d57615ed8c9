#include "worker/runtime/gang_outcome.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

// What was called, in its order.
struct Calls final : JobLog, GangWorkObserver {
  void line(const Origin&, std::uint32_t, bool, std::string) override {}
  void point(const Origin&, const std::string&, std::uint64_t, double) override {}
  void flush(const SeatKey&, Duration) override { names.emplace_back("flush"); }
  void preparing() override {}
  void up(std::uint32_t) override {}
  void moved(std::uint32_t, std::uint64_t) override {}
  void measured(std::uint32_t, const MemoryUse&) override {}
  void unreachable(WorkerId, const std::string&) override {}
  void over(const GangSeatExited&) override { names.emplace_back("over"); }
  [[nodiscard]] CheckpointAccess access() const override { return {}; }

  std::vector<std::string> names;
};

std::vector<std::string> told(GangOutcome outcome) {
  Calls calls;
  GangSeatExited how;
  how.outcome = outcome;
  tell_over(how, calls, calls);
  return calls.names;
}

TEST(GangOutcomeTest, LastWordsAreThereBeforeAnEndOrAFailureIsTold) {
  const std::vector<std::string> words_first{"flush", "over"};
  EXPECT_EQ(told(GangOutcome::kCompleted), words_first);
  EXPECT_EQ(told(GangOutcome::kFailed), words_first);
}

TEST(GangOutcomeTest, NobodyWaitsForTheWordsOfOneThatBrokeOff) {
  const std::vector<std::string> at_once{"over"};
  EXPECT_EQ(told(GangOutcome::kStopped), at_once);
  EXPECT_EQ(told(GangOutcome::kPeerLost), at_once);
}

}  // namespace
}  // namespace overwinter::worker
