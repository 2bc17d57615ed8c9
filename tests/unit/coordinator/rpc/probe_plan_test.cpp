#include "coordinator/rpc/probe_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

namespace overwinter::rpc {
namespace {

using testing::HasSubstr;

constexpr Time kWall = time_from_unix_ms(1'764'000'000'000);

std::vector<ProbedWorker> workers(std::size_t count, std::size_t on_a_machine = 1) {
  std::vector<ProbedWorker> out;
  for (std::size_t i = 0; i < count; ++i) {
    ProbedWorker one;
    one.id = WorkerId(i + 1);
    one.incarnation = Incarnation(1);
    one.name = "w" + std::to_string(i + 1);
    one.host_id = "m" + std::to_string(i / on_a_machine);
    one.version = "0.1.0";
    one.peer_address = "10.0.0." + std::to_string(i + 1) + ":7610";
    one.network = "10.0.0.0/24";
    out.push_back(one);
  }
  return out;
}

v1::HostFacts facts_at(Time time) {
  v1::HostFacts out;
  out.mutable_time()->set_seconds(unix_ms(time) / 1000);
  out.mutable_time()->set_nanos(static_cast<int>(unix_ms(time) % 1000) * 1'000'000);
  return out;
}

v1::LinkFacts open_link() {
  v1::LinkFacts out;
  out.set_reachable(true);
  return out;
}

TEST(ProbePlan, EveryWorkerIsAskedOnceAndEveryOtherMachineTriedEachWay) {
  const auto list = workers(6, 2);
  ProbePlan plan(list, true, kWall);
  std::set<std::size_t> hosts;
  std::set<std::pair<std::size_t, std::size_t>> pairs;
  std::map<std::pair<std::string, std::string>, int> rates;
  for (int turn = 0; !plan.complete(); ++turn) {
    ASSERT_LT(turn, 100);
    const Duration now(turn * 10);
    std::set<std::string> sending;
    std::set<std::string> receiving;
    for (const ProbeQuestion& one : plan.next(now)) {
      if (!one.peer) {
        EXPECT_TRUE(hosts.insert(one.worker).second);
        plan.host_described(list[one.worker].id, facts_at(kWall + now), now);
        continue;
      }
      const auto& from = list[one.worker].host_id;
      const auto& to = list[*one.peer].host_id;
      EXPECT_NE(from, to);
      EXPECT_TRUE(pairs.insert({one.worker, *one.peer}).second);
      EXPECT_TRUE(sending.insert(from).second) << from << " sends to two at once";
      EXPECT_TRUE(receiving.insert(to).second) << to << " is sent to by two at once";
      if (one.measure_rate) ++rates[{from, to}];
    }
    for (const auto& [from, to] : pairs) plan.peer_probed(list[from].id, list[to].id, open_link());
  }
  EXPECT_EQ(hosts.size(), 6U);
  EXPECT_EQ(pairs.size(), 24U);  // each to the four on the two other machines
  EXPECT_EQ(rates.size(), 6U);
  for (const auto& [machines, count] : rates) EXPECT_EQ(count, 1) << machines.first;
  const auto result = plan.result();
  EXPECT_EQ(result.pairs_size(), 24);
  EXPECT_EQ(result.pairs_left_out(), 0U);
}

TEST(ProbePlan, WithoutPairsNobodyIsTried) {
  ProbePlan plan(workers(3), false, kWall);
  EXPECT_EQ(plan.next(Duration(0)).size(), 3U);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_FALSE(plan.complete());
    plan.host_described(WorkerId(id), facts_at(kWall), Duration(5));
  }
  EXPECT_TRUE(plan.complete());
  EXPECT_EQ(plan.result().pairs_size(), 0);
}

TEST(ProbePlan, AClockIsComparedWithTheMiddleOfTheQuestion) {
  ProbePlan plan(workers(1), false, kWall);
  ASSERT_EQ(plan.next(Duration(100)).size(), 1U);
  plan.host_described(WorkerId(1), facts_at(kWall + Duration(100 + 20 + 3000)), Duration(140));
  const auto result = plan.result();
  EXPECT_EQ(result.hosts(0).clock_offset().seconds(), 3);
  EXPECT_EQ(result.hosts(0).clock_offset().nanos(), 0);
  EXPECT_EQ(result.hosts(0).clock_uncertainty().nanos(), 20'000'000);
}

TEST(ProbePlan, WhoGivesNoAnswerIsNamedAndHoldsNobodyUp) {
  const auto list = workers(3);
  ProbePlan plan(list, true, kWall);
  std::size_t asked = 0;
  Duration now{0};
  for (; !plan.complete() && now < Duration(120'000); now += Duration(1'000)) {
    for (const ProbeQuestion& one : plan.next(now)) {
      ++asked;
      if (one.worker == 1) continue;  // w2 is silent
      if (one.peer) {
        plan.peer_probed(list[one.worker].id, list[*one.peer].id, open_link());
      } else {
        plan.host_described(list[one.worker].id, facts_at(kWall), now);
      }
    }
  }
  EXPECT_TRUE(plan.complete());
  EXPECT_EQ(asked, 8U);  // w2 about one peer alone
  EXPECT_LE(now, ProbePlan::kPairWithin + Duration(4'000));
  const auto result = plan.result();
  EXPECT_THAT(result.hosts(1).message(), HasSubstr("w2 (version 0.1.0) gave no answer"));
  int open = 0;
  for (const auto& pair : result.pairs()) {
    open += pair.link().reachable() ? 1 : 0;
    EXPECT_EQ(pair.link().reachable(), pair.from() != "workers/w2");
    if (pair.from() == "workers/w2") EXPECT_THAT(pair.message(), HasSubstr("w2"));
  }
  EXPECT_EQ(open, 4);
}

TEST(ProbePlan, AWorkerWithoutAPeerPortIsSaidToHaveNone) {
  auto list = workers(2);
  list[1].peer_address.clear();
  list[1].network.clear();
  ProbePlan plan(list, true, kWall);
  for (const ProbeQuestion& one : plan.next(Duration(0))) EXPECT_FALSE(one.peer);
  const auto result = plan.result();
  ASSERT_EQ(result.pairs_size(), 2);
  for (const auto& pair : result.pairs()) {
    EXPECT_THAT(pair.message(), HasSubstr("w2 has no peer port"));
    EXPECT_FALSE(pair.has_link());
    EXPECT_FALSE(pair.same_network());
  }
}

TEST(ProbePlan, AWorkerThatIsNotConnectedLetsTheOthersGoOn) {
  const auto list = workers(2);
  ProbePlan plan(list, true, kWall);
  for (int turn = 0; turn < 4 && !plan.complete(); ++turn) {
    for (const ProbeQuestion& one : plan.next(Duration(0))) plan.not_asked(one);
  }
  EXPECT_TRUE(plan.complete());
  const auto result = plan.result();
  EXPECT_THAT(result.hosts(0).message(), HasSubstr("not connected"));
  EXPECT_THAT(result.pairs(0).message(), HasSubstr("w1 is not connected"));
}

TEST(ProbePlan, AnswersNobodyAskedForAndHostileOnesChangeNothing) {
  const auto list = workers(2);
  ProbePlan plan(list, true, kWall);
  plan.peer_probed(WorkerId(1), WorkerId(2), open_link());
  plan.host_described(WorkerId(1), facts_at(kWall), Duration(0));
  EXPECT_EQ(plan.result().pairs_left_out(), 2U);
  (void)plan.next(Duration(0));
  v1::HostFacts endless = facts_at(kWall);
  endless.mutable_time()->set_seconds(std::int64_t{1} << 62);
  plan.host_described(WorkerId(1), endless, Duration(1));
  v1::LinkFacts large = open_link();
  for (int i = 0; i < 3000; ++i) large.mutable_message()->append("é");
  for (int i = 0; i < 1000; ++i) large.add_ports();
  large.mutable_round_trip()->set_seconds(-5);
  plan.peer_probed(WorkerId(1), WorkerId(2), large);
  const auto result = plan.result();
  EXPECT_FALSE(result.hosts(0).has_facts());
  ASSERT_EQ(result.pairs_size(), 1);
  EXPECT_EQ(result.pairs(0).link().message().size(), 2000U);
  EXPECT_LE(result.pairs(0).link().ports_size(), 32);
  EXPECT_FALSE(result.pairs(0).link().has_round_trip());
}

TEST(ProbePlan, TooManyPairsAreCounted) {
  const std::size_t count = 80;
  ProbePlan plan(workers(count), true, kWall);
  EXPECT_EQ(plan.result().pairs_left_out(), count * (count - 1));
  EXPECT_EQ(plan.next(Duration(0)).size(), 2 * count);
}

}  // namespace
}  // namespace overwinter::rpc
