// Each effect is derived again after a restart, and what workers hold is learned from them.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

template <class E>
std::vector<E> of(const std::vector<Effect>& effects) {
  std::vector<E> found;
  for (const Effect& effect : effects) {
    if (const E* e = std::get_if<E>(&effect)) found.push_back(*e);
  }
  return found;
}

TEST(Restart, AFirstStartMakesTheClusterAndALaterOneDoesNot) {
  TestCluster cluster;
  EXPECT_EQ(cluster.state().cluster, "test");
  EXPECT_TRUE(cluster.state().projects.contains("default"));
  cluster.restart();
  EXPECT_TRUE(cluster.out.facts.empty());
}

TEST(Restart, ResultsArePreparedFinishedAndDroppedAgain) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId done = cluster.submit(a_job().with_units(1));
  const SeatKey seat = cluster.seat(done);
  cluster.began(seat);
  cluster.land(seat, units(0, 1));
  const JobId running = cluster.submit(a_job().with_memory(kGiB).with_units(3));
  const JobId cancelled = cluster.submit(a_job());
  cluster.act(cancelled, JobAction::kCancel);
  const JobId waiting = cluster.submit(a_job().with_memory(64 * kGiB));

  cluster.restart();  // `done` still holds its seat
  auto prepared = of<PrepareResult>(cluster.effects);
  ASSERT_EQ(prepared.size(), 1U);
  EXPECT_EQ(prepared[0].job, done);
  ASSERT_EQ(of<FinishResult>(cluster.effects).size(), 1U);
  ASSERT_EQ(of<DropResult>(cluster.effects).size(), 1U);
  EXPECT_EQ(of<DropResult>(cluster.effects)[0].job, cancelled);

  // The worker returns and ends the seat: its place goes to the next, whose result is prepared.
  cluster.hello(worker, a_worker(), 1, {{seat, Duration(10), {}, 0, true}}, 1);
  EXPECT_EQ(cluster.all<StopSeat>().size(), 1U);
  cluster.end(seat, Duration(20));
  EXPECT_EQ(cluster.job(done).state, JobState::kSucceeded);
  EXPECT_EQ(cluster.job(running).state, JobState::kStarting);
  EXPECT_EQ(cluster.job(waiting).state, JobState::kQueued);
  cluster.restart();
  prepared = of<PrepareResult>(cluster.effects);
  ASSERT_EQ(prepared.size(), 2U);
  EXPECT_EQ(prepared[1].job, running);
  EXPECT_EQ(of<FinishResult>(cluster.effects).size(), 1U);
}

TEST(Restart, AnOfferThatWasLostIsMadeAgainAtHello) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  cluster.restart();
  cluster.hello(worker, a_worker());
  const Welcome welcome = cluster.last<Welcome>();
  ASSERT_EQ(welcome.start.size(), 1U);
  EXPECT_EQ(welcome.start[0].seat, cluster.seat(id));
  EXPECT_TRUE(welcome.keep.empty());
  EXPECT_TRUE(welcome.drop.empty());
  // With what it shall do first, behind it.
  ASSERT_TRUE(std::holds_alternative<HandOutUnits>(cluster.out.effects.back()));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
}

TEST(Restart, UnitsThatWereLostWithTheirOfferAreHandedOutAgainWithTheNext) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(3).with_range_max(1));
  const SeatKey seat = cluster.seat(id);
  ASSERT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, a_worker());  // it never had the seat
  EXPECT_EQ(cluster.last<Welcome>().start.at(0).seat, seat);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
  cluster.began(seat);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(1, 2));
}

TEST(Restart, ASeatThatIsOfferedOnlyAfterOldReportsGetsItsUnitsThen) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker().with_device(4 * kGiB, 4).with_device(kGiB, 1));
  const JobId first = cluster.submit(a_job().with_threads(4).with_units(1));
  const SeatKey old = cluster.seat(first);
  cluster.began(old);
  const JobId second = cluster.submit(a_job().with_threads(1).with_units(1));
  const SeatKey fresh = cluster.seat(second);
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  // The end of the old seat is still to be reported; of the new one it never heard.
  cluster.hello(worker, a_worker().with_device(4 * kGiB, 4).with_device(kGiB, 1), 1, {}, 2);
  EXPECT_TRUE(cluster.last<Welcome>().start.empty());
  for (const HandOutUnits& handed : cluster.all<HandOutUnits>()) EXPECT_NE(handed.seat, fresh);
  EXPECT_EQ(cluster.soft().jobs.at(second).pool, units(0, 1));
  cluster.end(old, Duration(0));
  ASSERT_EQ(cluster.all<OfferSeat>().size(), 1U + 1U);  // and the old job's next seat
  EXPECT_EQ(cluster.all<OfferSeat>()[0].seat, fresh);
  EXPECT_EQ(cluster.all<HandOutUnits>().at(0).seat, fresh);
}

TEST(Restart, ASeatWhoseEndIsStillToBeReportedIsNotOfferedAgain) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.restart();
  cluster.hello(worker, a_worker(), 1, {}, 2);  // report 2 says that it has ended
  EXPECT_TRUE(cluster.last<Welcome>().start.empty());
  cluster.end(seat, Duration(0), SeatEnd::kFailed, "it broke");
  EXPECT_EQ(cluster.state().find_seat(seat), nullptr);
}

TEST(Restart, HeldRangesComeFromHelloAndOnlyTheRestIsHandedOut) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(100).with_seats(1, 2).with_range_max(10));
  const SeatKey seat_a = cluster.seat(id, 0);
  const SeatKey seat_b = cluster.seat(id, 1);
  ASSERT_EQ(cluster.state().find_seat(seat_a)->worker, a);
  cluster.began(seat_a);
  cluster.began(seat_b);
  // One range with the offer, the second once it had begun.
  UnitRanges held_a = units(0, 10);
  held_a.add({20, 30});
  UnitRanges held_b = units(10, 20);
  held_b.add({30, 40});
  EXPECT_EQ(cluster.soft().jobs.at(id).seats.at(seat_a.number).out, held_a);
  EXPECT_EQ(cluster.soft().jobs.at(id).seats.at(seat_b.number).out, held_b);
  cluster.restart();
  cluster.hello(a, a_worker(), 1, {{seat_a, Duration(5), units(0, 3), 0, false}}, 1);
  EXPECT_TRUE(cluster.all<HandOutUnits>().empty());  // what b holds is not known yet
  cluster.hello(b, a_worker(), 1, {{seat_b, Duration(5), held_b, 0, false}}, 1);
  const auto handed = cluster.all<HandOutUnits>();
  ASSERT_EQ(handed.size(), 1U);
  EXPECT_EQ(handed[0].seat, seat_a);
  UnitRanges expected = units(3, 10);  // what it held before the restart and holds no more
  expected.add({20, 30});
  EXPECT_EQ(handed[0].units, expected);
}

TEST(Restart, NobodyIsLostInTheGracePeriodAndAReturnRenewsIt) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  cluster.run_for(Duration(60'000));  // both silent: lost
  EXPECT_EQ(cluster.worker(a).state, WorkerState::kLost);
  cluster.hello(a, a_worker());
  cluster.hello(b, a_worker());
  cluster.restart();
  cluster.run_for(Duration(29'000));
  EXPECT_EQ(cluster.worker(a).state, WorkerState::kReady);
  cluster.hello(a, a_worker());  // grace goes on for lost_after from here
  cluster.run_for(Duration(14'000));
  EXPECT_EQ(cluster.worker(b).state, WorkerState::kReady);
  cluster.beat(a);
  cluster.run_for(Duration(2'000));
  EXPECT_EQ(cluster.worker(b).state, WorkerState::kLost);
  EXPECT_EQ(cluster.worker(a).state, WorkerState::kReady);
}

TEST(Restart, DigestsOfAStateAndOfItsReplayAreEqualAndTellStatesApart) {
  TestCluster cluster;
  cluster.joined(a_worker());
  cluster.submit(a_job().with_units(5));
  ClusterState replayed;
  for (const auto& [time, fact] : cluster.log) evolve(replayed, time, fact);
  EXPECT_EQ(digest(replayed), digest(cluster.state()));
  const std::uint64_t before = digest(cluster.state());
  cluster.began(cluster.seat(JobId(1)));
  EXPECT_NE(digest(cluster.state()), before);
}

}  // namespace
}  // namespace overwinter::core::test
