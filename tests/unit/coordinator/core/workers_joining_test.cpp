// Who may become a worker, who may connect, and when one that is silent is lost.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

struct Gate {
  TestCluster cluster;
  JoinFileCreateRequested wanted;
  Gate() {
    wanted.by = admin();
    wanted.reply = ReplyId(2);
    wanted.uses = 2;
    wanted.expires = cluster.now + Duration(10'000);
  }
  JoinFileId make_file() {
    cluster.step(wanted);
    return cluster.last<Reply>().join_file;
  }
  // The answer to a machine that asks with this file and this key.
  Reply ask(JoinFileId file, std::uint8_t key, std::string name = "box",
            std::vector<std::string> projects = {}, std::optional<Money> price = {}) {
    WorkerJoinRequested event;
    event.by = {PrincipalKind::kJoin, file.value(), Role::kNone, "", ""};
    event.reply = ReplyId(3);
    event.name = std::move(name);
    event.projects = std::move(projects);
    event.price_per_hour = price;
    event.public_key.bytes[0] = key;
    cluster.step(event);
    return cluster.last<Reply>();
  }
};

TEST(WorkersJoining, AJoinFileIsGoodForItsUsesUntilItEnds) {
  Gate gate;
  const JoinFileId file = gate.make_file();
  EXPECT_EQ(gate.ask(file, 201).worker, WorkerId(1));
  EXPECT_EQ(gate.ask(JoinFileId(99), 202).status.code, Code::kPermissionDenied);
  // The same key is the same worker: no second use.
  const Reply again = gate.ask(file, 201);
  EXPECT_EQ(again.worker, WorkerId(1));
  EXPECT_TRUE(again.repeated);
  EXPECT_TRUE(gate.cluster.out.facts.empty());
  const Reply second = gate.ask(file, 202);
  EXPECT_EQ(second.worker, WorkerId(2));
  EXPECT_FALSE(second.repeated);
  EXPECT_EQ(gate.ask(file, 203).status.code, Code::kPermissionDenied);
  EXPECT_EQ(gate.cluster.state().join_files.at(file).used, 2U);
  const JoinFileId other = gate.make_file();
  gate.cluster.now += Duration(9'999);
  EXPECT_TRUE(gate.ask(other, 203).status.ok());
  gate.cluster.now += Duration(1);
  EXPECT_EQ(gate.ask(other, 204).status.code, Code::kPermissionDenied);
  EXPECT_TRUE(gate.cluster.out.facts.empty());
}

TEST(WorkersJoining, AKeyIsOneWorkersForEver) {
  Gate gate;
  const JoinFileId file = gate.make_file();
  const JoinFileId other = gate.make_file();
  const WorkerId worker = gate.ask(file, 201).worker;
  EXPECT_EQ(gate.ask(other, 201).status.code, Code::kAlreadyExists);  // by another join file
  gate.cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(gate.ask(file, 201).status.code, Code::kAlreadyExists);  // one that was removed
  EXPECT_TRUE(gate.cluster.out.facts.empty());
}

TEST(WorkersJoining, ARevokedFileAPriceAndAProjectOfAnotherAreRefused) {
  Gate gate;
  gate.cluster.step(ProjectCreateRequested{admin(), ReplyId(2), "lab"});
  gate.cluster.step(ProjectCreateRequested{admin(), ReplyId(2), "class"});
  gate.wanted.uses = 9;
  gate.wanted.projects = {"lab", "class"};
  const JoinFileId file = gate.make_file();
  EXPECT_EQ(gate.ask(file, 201, "box", {}, Money{5}).status.code, Code::kPermissionDenied);
  EXPECT_EQ(gate.ask(file, 201, "box", {"default"}).status.code, Code::kPermissionDenied);
  EXPECT_EQ(gate.ask(file, 201, "box", {"lab", "default"}).status.code, Code::kPermissionDenied);
  const WorkerId one = gate.ask(file, 201, "box", {"class"}).worker;
  EXPECT_EQ(gate.cluster.worker(one).projects, std::vector<std::string>{"class"});
  const WorkerId all = gate.ask(file, 202).worker;
  EXPECT_EQ(gate.cluster.worker(all).projects, (std::vector<std::string>{"lab", "class"}));
  gate.wanted.may_set_price = true;
  EXPECT_TRUE(gate.ask(gate.make_file(), 203, "box", {}, Money{5}).status.ok());
  gate.cluster.step(TokenRevokeRequested{admin(), ReplyId(2), {}, file});
  EXPECT_EQ(gate.ask(file, 204).status.code, Code::kPermissionDenied);
}

TEST(WorkersJoining, ANameIsMadeUniqueAndThatOfARemovedWorkerIsFree) {
  TestCluster cluster;
  EXPECT_EQ(cluster.worker(cluster.join(a_worker())).name, "box");
  const WorkerId second = cluster.join(a_worker());
  EXPECT_EQ(cluster.worker(second).name, "box-2");
  EXPECT_EQ(cluster.worker(cluster.join(a_worker())).name, "box-3");
  cluster.act(second, WorkerAction::kRemove);
  EXPECT_EQ(cluster.worker(cluster.join(a_worker())).name, "box-2");
  EXPECT_EQ(cluster.worker(cluster.join(a_worker())).name, "box-4");
}

TEST(WorkersJoining, OneDaemonAWorkerAndNeverAnOlderOne) {
  TestCluster cluster;
  const WorkerId worker = cluster.join(a_worker());
  const auto refused = [&](WorkerId id, std::uint64_t incarnation) {
    cluster.hello(id, a_worker(), incarnation);
    const auto refusals = cluster.all<RefuseWorker>();
    return refusals.empty() ? Code::kOk : refusals[0].status.code;
  };
  EXPECT_EQ(refused(WorkerId(99), 1), Code::kNotFound);
  EXPECT_EQ(refused(worker, 5), Code::kOk);
  EXPECT_EQ(refused(worker, 5), Code::kOk);  // the same one, on a new stream
  EXPECT_TRUE(cluster.facts<WorkerConnected>().empty());
  EXPECT_EQ(refused(worker, 6), Code::kAlreadyExists);  // two at once
  EXPECT_EQ(refused(worker, 4), Code::kFailedPrecondition);
  cluster.step(WorkerDisconnected{worker, Incarnation(4)});  // not the one that is here
  EXPECT_TRUE(cluster.soft().workers.at(worker).connected);
  cluster.step(WorkerDisconnected{WorkerId(99), Incarnation(5)});
  EXPECT_TRUE(cluster.out.workers_touched.empty());
  cluster.step(WorkerDisconnected{worker, Incarnation(5)});
  EXPECT_FALSE(cluster.soft().workers.at(worker).connected);
  cluster.step(WorkerDisconnected{worker, Incarnation(5)});  // told twice
  EXPECT_TRUE(cluster.out.workers_touched.empty());
  EXPECT_EQ(refused(worker, 4), Code::kFailedPrecondition);
  EXPECT_EQ(refused(worker, 6), Code::kOk);
  EXPECT_EQ(cluster.facts<WorkerConnected>().size(), 1U);
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(refused(worker, 6), Code::kPermissionDenied);
}

TEST(WorkersJoining, OneThatIsNotConnectedGetsNoSeat) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  const JobId id = cluster.submit(a_job());
  EXPECT_TRUE(cluster.job(id).seats.empty());
  cluster.hello(worker, a_worker());
  EXPECT_EQ(cluster.job(id).seats.size(), 1U);
}

TEST(WorkersJoining, OneIsLostAfterFifteenSecondsOfSilenceAndNotBefore) {
  TestCluster cluster;
  cluster.run_for(Duration(60'000));  // no grace of a start
  const WorkerId worker = cluster.joined(a_worker());
  cluster.run_for(Duration(10'000));
  cluster.beat(worker);
  const Time heard = cluster.now;
  cluster.run_until(heard + Duration(14'999));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
  cluster.run_until(heard + Duration(15'000));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  EXPECT_EQ(cluster.worker(worker).reason, "not heard of for " + format_duration(Duration(15'000)));
  EXPECT_FALSE(cluster.soft().workers.at(worker).connected);
  cluster.beat(worker);  // its stream never ended: it is back
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
  EXPECT_TRUE(cluster.soft().workers.at(worker).connected);
  EXPECT_EQ(cluster.job(cluster.submit(a_job())).seats.size(), 1U);
  cluster.run_for(Duration(14'999));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
}

TEST(WorkersJoining, ABeatOfAnotherDaemonOrOfARemovedWorkerSaysNothing) {
  TestCluster cluster;
  cluster.run_for(Duration(60'000));
  const WorkerId worker = cluster.joined(a_worker());
  cluster.run_for(Duration(10'000));
  cluster.step(WorkerHeartbeat{worker, Incarnation(2), {}});
  cluster.step(WorkerHeartbeat{WorkerId(99), Incarnation(1), {}});
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.run_for(Duration(5'000));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  cluster.act(worker, WorkerAction::kRemove);
  ASSERT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  cluster.beat(worker);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  EXPECT_TRUE(cluster.out.workers_touched.empty());
  cluster.step(WorkerReported{worker, Incarnation(1), 1, SeatBegan{}});
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_TRUE(cluster.out.effects.empty());
}

TEST(WorkersJoining, ABeatTellsOfSeatsThatTheWorkerMustEnd) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  const SeatKey seat = cluster.seat(id);
  cluster.beat(worker, {{seat, Duration(0), {}, 0, false}});
  EXPECT_TRUE(cluster.all<Welcome>().empty());
  const SeatKey ghost{id, 1, 9};
  cluster.beat(worker, {{seat, Duration(0), {}, 0, false}, {ghost, Duration(0), {}, 0, false}});
  ASSERT_EQ(cluster.all<Welcome>().size(), 1U);
  EXPECT_EQ(cluster.all<Welcome>()[0].drop, std::vector<SeatKey>{ghost});
  ASSERT_EQ(cluster.all<Welcome>()[0].keep.size(), 1U);
  EXPECT_EQ(cluster.all<Welcome>()[0].keep[0].seat, seat);
}

// ---- what people ask of workers

TEST(WorkersJoining, AWorkerThatIsRemovedIsNotAskedForAnythingElse) {
  TestCluster cluster;
  const auto asked = [&](WorkerId id, WorkerAction action) {
    cluster.act(id, action);
    return cluster.last<Reply>().status.code;
  };
  EXPECT_EQ(asked(WorkerId(9), WorkerAction::kDrain), Code::kNotFound);
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  EXPECT_EQ(asked(worker, WorkerAction::kResume), Code::kOk);  // it is READY
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(asked(worker, WorkerAction::kDrain), Code::kOk);
  EXPECT_EQ(asked(worker, WorkerAction::kRemove), Code::kOk);  // more than to drain it
  EXPECT_TRUE(cluster.facts<WorkerStateChanged>().at(0).removing);
  EXPECT_EQ(asked(worker, WorkerAction::kRemove), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(asked(worker, WorkerAction::kDrain), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(asked(worker, WorkerAction::kResume), Code::kFailedPrecondition);
  cluster.end(cluster.seat(id), Duration(0));
  ASSERT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  EXPECT_EQ(asked(worker, WorkerAction::kDrain), Code::kFailedPrecondition);
  EXPECT_EQ(asked(worker, WorkerAction::kResume), Code::kFailedPrecondition);
  EXPECT_EQ(asked(worker, WorkerAction::kRemove), Code::kOk);
  EXPECT_EQ(cluster.last<Reply>().worker, worker);
  EXPECT_TRUE(cluster.out.facts.empty());
}

TEST(WorkersJoining, WhatIsAskedOfALostWorkerHoldsWhenItReturns) {
  TestCluster cluster;
  const WorkerId other = cluster.joined(a_worker().named("other"));
  const WorkerId worker = cluster.joined(a_worker());
  cluster.run_for(Duration(60'000));
  ASSERT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  cluster.act(worker, WorkerAction::kDrain);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  EXPECT_TRUE(cluster.worker(worker).draining);
  EXPECT_FALSE(cluster.worker(worker).removing);
  cluster.hello(worker, a_worker());
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kDraining);
  EXPECT_EQ(cluster.facts<WorkerStateChanged>().back().actor, 0U);
  EXPECT_FALSE(cluster.worker(worker).removing);
  cluster.run_for(Duration(60'000));
  ASSERT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  cluster.act(worker, WorkerAction::kResume);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  EXPECT_FALSE(cluster.worker(worker).draining);
  cluster.hello(worker, a_worker());
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
  // One that is lost and holds nothing is removed at once.
  cluster.act(other, WorkerAction::kRemove);
  EXPECT_EQ(cluster.worker(other).state, WorkerState::kRemoved);
}

TEST(WorkersJoining, OneThatWasNeverHereIsJoinedAgainWhenItIsResumed) {
  TestCluster cluster;
  const WorkerId worker = cluster.join(a_worker());
  cluster.act(worker, WorkerAction::kDrain);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kDraining);
  cluster.act(worker, WorkerAction::kResume);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kJoined);
  EXPECT_FALSE(cluster.worker(worker).draining);
  cluster.hello(worker, a_worker());
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
}

// ---- its machine

TEST(WorkersJoining, OtherDevicesAreTakenOverWhenNoSeatIsHeldOnTheOld) {
  TestCluster cluster;
  cluster.set_prices(a_book(3'600'000));
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(1));
  const WorkerBuilder larger = a_worker().with_device(8 * kGiB, 8).with_device(kGiB, 1);
  cluster.run_for(Duration(1'000));
  const SeatKey seat = cluster.seat(id);
  cluster.hello(worker, larger, 1, {{seat, Duration(0), units(0, 1), 0, false}});
  EXPECT_EQ(cluster.worker(worker).machine.devices.size(), 1U);  // its seat is where it was
  cluster.land(seat, units(0, 1));
  cluster.end(seat, Duration(0));
  cluster.run_for(Duration(1'000));
  cluster.hello(worker, larger, 1, {}, 1);
  EXPECT_EQ(cluster.worker(worker).machine.devices.size(), 2U);
  // It cost one device until now, and two from here on.
  EXPECT_EQ(ledger::rounded(cluster.worker(worker).total), Money{2'000});
  cluster.run_for(Duration(1'000));
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(ledger::rounded(cluster.worker(worker).total), Money{4'000});
}

TEST(WorkersJoining, AnotherVersionOnTheSameDevicesIsNotedThoughSeatsAreHeld) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  WorkerHello hello{worker, Incarnation(1), a_worker().machine(), {}, 0};
  hello.machine.version = "0.2.0";
  hello.seats = {{cluster.seat(id), Duration(0), {}, 0, false}};
  cluster.step(hello);
  EXPECT_EQ(cluster.worker(worker).machine.version, "0.2.0");
  EXPECT_TRUE(cluster.facts<MachineCharged>().empty());
  cluster.step(hello);
  EXPECT_TRUE(cluster.facts<WorkerConnected>().empty());  // nothing is new
}

}  // namespace
}  // namespace overwinter::core::test
