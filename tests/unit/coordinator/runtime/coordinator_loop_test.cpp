// The loop with the real core, a store that is held at will, and ports that record.
#include "coordinator/runtime/coordinator_loop.h"

#include <gtest/gtest.h>

#include <future>

#include "common/base/clock.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/runtime/requests.h"
#include "tests/support/core_builders.h"

namespace overwinter::runtime {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

// Commits only while it is let.
class HeldSink final : public TurnSink {
 public:
  Status commit(std::span<const Turn> turns) override {
    std::unique_lock lock(mutex_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    for (const auto& turn : turns) facts_ += turn.facts.size();
    ++commits_;
    return Status::success();
  }
  void open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    entered_ = false;
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_entered() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [this] { return entered_; });
  }
  [[nodiscard]] std::size_t commits() {
    const std::lock_guard lock(mutex_);
    return commits_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  bool entered_ = false;
  std::size_t commits_ = 0;
  std::size_t facts_ = 0;
};

// Keeps what was ordered.
class Workers final : public WorkerLink {
 public:
  void launch(const core::LaunchGang&) override {}
  void order(const core::Effect& effect) override {
    const std::lock_guard lock(mutex_);
    ordered_.push_back(effect);
    changed_.notify_all();
  }
  void flush() override {}
  void end_principal(const core::EndPrincipal&) override {}

  template <class E>
  [[nodiscard]] std::vector<E> all() {
    const std::lock_guard lock(mutex_);
    return all_locked<E>();
  }
  // False when fewer come in time.
  template <class E>
  [[nodiscard]] bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return all_locked<E>().size() >= count; });
  }

 private:
  template <class E>
  std::vector<E> all_locked() const {
    std::vector<E> found;
    for (const core::Effect& effect : ordered_) {
      if (const E* e = std::get_if<E>(&effect)) found.push_back(*e);
    }
    return found;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<core::Effect> ordered_;
};
struct NoResults final : ResultPort {
  void prepare(const core::PrepareResult&) override {}
  void finish(const core::FinishResult&) override {}
  void drop(const core::DropResult&) override {}
};
struct NoPlans final : ReplanPort {
  void replan(JobId) override {}
};

class CoordinatorLoopTest : public testing::Test {
 protected:
  CoordinatorLoopTest() {
    queue.post_vital(core::CoordinatorStarted{"test", 7});
    loop.start();
    (void)create("first").get();
  }
  ~CoordinatorLoopTest() override {
    sink.open(true);
    loop.stop();
    requests.fail_all();
  }

  std::future<core::Reply> create(const std::string& project) {
    auto promise = std::make_shared<std::promise<core::Reply>>();
    auto future = promise->get_future();
    core::ProjectCreateRequested event;
    event.project = project;
    requests.ask(event, [promise](const core::Reply& reply) { promise->set_value(reply); });
    return future;
  }
  template <class E>
  core::Reply ask(E event) {
    auto promise = std::make_shared<std::promise<core::Reply>>();
    auto future = promise->get_future();
    requests.ask(std::move(event),
                 [promise](const core::Reply& reply) { promise->set_value(reply); });
    return future.get();
  }
  WorkerId connected_worker() {
    const core::test::WorkerBuilder builder;
    core::JoinFileCreateRequested file;
    file.by = core::test::admin();
    file.uses = 1;
    file.expires = loop.now() + std::chrono::hours(1);
    core::WorkerJoinRequested join;
    join.by = {PrincipalKind::kJoin, ask(file).join_file.value(), Role::kNone, "", ""};
    join.name = "box";
    const WorkerId worker = ask(join).worker;
    queue.post_vital(core::WorkerHello{worker, Incarnation(1), builder.machine(), {}, 0});
    return worker;
  }
  void report(WorkerId worker, std::uint64_t number, core::Report what) {
    queue.post_vital(core::WorkerReported{worker, Incarnation(1), number, std::move(what)});
  }
  [[nodiscard]] bool listed(const std::string& project) const {
    const auto cluster = views.cluster();
    return std::find(cluster->projects.begin(), cluster->projects.end(), project) !=
           cluster->projects.end();
  }

  EventQueue queue{{}};
  Requests requests{queue};
  HeldSink sink;
  Views views{1};
  Workers workers;
  NoResults results;
  NoPlans plans;
  EffectDispatcher effects{Ports{&workers, &requests, &results, &plans}};
  CoordinatorLoop loop{core::Scheduler(core::SchedulerConfig{}),
                       system_clock(),
                       Time{},
                       queue,
                       sink,
                       effects,
                       views};
};

TEST_F(CoordinatorLoopTest, AReplyAndItsViewLeaveAfterTheCommit) {
  sink.open(false);
  auto answer = create("late");
  ASSERT_TRUE(sink.wait_entered());
  EXPECT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_FALSE(listed("late"));
  sink.open(true);
  ASSERT_EQ(answer.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(answer.get().status.ok());
  EXPECT_TRUE(listed("late"));
}

// The second request is refused because of a fact that is not durable yet: nobody may hear of it
// before.
TEST_F(CoordinatorLoopTest, ATurnWithoutFactsWaitsForThoseBefore) {
  sink.open(false);
  auto first = create("once");
  ASSERT_TRUE(sink.wait_entered());
  auto second = create("once");
  EXPECT_EQ(second.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  sink.open(true);
  ASSERT_EQ(second.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(second.get().status.code, Code::kAlreadyExists);
  EXPECT_TRUE(first.get().status.ok());
}

TEST_F(CoordinatorLoopTest, ManyRequestsShareCommits) {
  sink.open(false);
  std::vector<std::future<core::Reply>> answers;
  answers.push_back(create("p0"));
  ASSERT_TRUE(sink.wait_entered());
  const std::size_t before = sink.commits();
  for (int i = 1; i < 100; ++i) answers.push_back(create("p" + std::to_string(i)));
  sink.open(true);
  for (auto& answer : answers) EXPECT_TRUE(answer.get().status.ok());
  EXPECT_LE(sink.commits() - before, 20U) << "100 requests, few commits";
}

// A busy seat gets its next range at once, though its reports are acknowledged only when they are
// durable; no range overtakes the offer of its seat.
TEST_F(CoordinatorLoopTest, RangesWaitForTheirOfferButForNoAcknowledgement) {
  const WorkerId worker = connected_worker();
  ASSERT_TRUE(workers.wait_for<core::Welcome>(1));
  sink.open(false);
  std::promise<core::Reply> submitted;
  requests.ask(
      core::test::a_job().with_units(10).with_range_max(1).with_landing(Landing::kReport).build(),
      [&](const core::Reply& reply) { submitted.set_value(reply); });
  ASSERT_TRUE(sink.wait_entered());
  EXPECT_TRUE(workers.all<core::OfferSeat>().empty());
  EXPECT_TRUE(workers.all<core::HandOutUnits>().empty());
  sink.open(true);
  ASSERT_TRUE(submitted.get_future().get().status.ok());
  ASSERT_EQ(workers.all<core::OfferSeat>().size(), 1U);
  ASSERT_EQ(workers.all<core::HandOutUnits>().size(), 1U);
  const SeatKey seat = workers.all<core::OfferSeat>()[0].seat;

  report(worker, 1, core::SeatBegan{seat});
  ASSERT_TRUE(workers.wait_for<core::AcknowledgeReports>(1));
  sink.open(false);
  for (std::uint64_t unit = 0; unit < 3; ++unit) {
    const std::size_t before = workers.all<core::HandOutUnits>().size();
    report(worker, 2 + unit, core::UnitsReported{seat, UnitRanges(UnitRange{unit, unit + 1})});
    EXPECT_TRUE(workers.wait_for<core::HandOutUnits>(before + 1)) << unit;
  }
  EXPECT_EQ(workers.all<core::AcknowledgeReports>().size(), 1U);
  sink.open(true);
  ASSERT_TRUE(workers.wait_for<core::AcknowledgeReports>(4));
}

TEST_F(CoordinatorLoopTest, StoppingCommitsWhatWasSteppedAndTellsTheRest) {
  sink.open(false);
  auto stepped = create("stepped");
  ASSERT_TRUE(sink.wait_entered());
  std::thread opener([this] { sink.open(true); });
  loop.stop();
  opener.join();
  EXPECT_TRUE(stepped.get().status.ok());
  EXPECT_EQ(create("after").get().status.code, Code::kUnavailable);
}

}  // namespace
}  // namespace overwinter::runtime
