// The lines of the audit, from facts that are made here one by one.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "coordinator/store/history.h"
#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using core::JobState;
using core::WorkerState;

constexpr std::uint64_t kAnn = 7;
constexpr std::uint64_t kBob = 8;

class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = test::must_open(test::small_config(folder_.path()));
    ASSERT_TRUE(store_->restore());
    turn({core::ClusterCreated{"winter", 1}, core::ProjectCreated{"apollo", 0},
          core::ProjectCreated{"zeus", 0}, token(kAnn, Role::kAdmin, "", "ann"),
          token(kBob, Role::kSubmitter, "zeus", "bob")});
  }
  static core::TokenCreated token(std::uint64_t id, Role role, const std::string& project,
                                  const std::string& name) {
    core::TokenCreated fact;
    fact.id = TokenId(id);
    fact.hash.bytes[0] = static_cast<std::uint8_t>(id);
    fact.role = role;
    fact.project = project;
    fact.name = name;
    return fact;
  }
  static core::JobAccepted job(std::uint64_t id, const std::string& project, std::uint64_t actor) {
    core::JobAccepted fact;
    fact.job = JobId(id);
    fact.project = project;
    fact.name = "job-" + std::to_string(id);
    fact.spec = std::make_shared<const std::string>("a spec");
    fact.plan = std::make_shared<const std::string>("a plan");
    fact.demand.cap = Money{500'000};
    fact.actor = actor;
    return fact;
  }
  static core::WorkerRegistered worker(const std::string& name) {
    core::WorkerRegistered fact;
    fact.worker = WorkerId(1);
    fact.join_file = JoinFileId(3);
    fact.name = name;
    fact.price_per_hour = Money{1'890'000};
    return fact;
  }
  void turn(std::vector<core::Fact> facts) {
    now_ += Duration(1000);
    const test::Turn one{now_, std::move(facts)};
    const TurnRef ref = one.ref();
    ASSERT_TRUE(store_->append_and_commit(std::span(&ref, 1)).ok());
    ASSERT_TRUE(store_->catch_up().ok());
  }
  std::vector<AuditLine> ask(const AuditQuery& query) {
    auto lines = store_->history().audit(query);
    EXPECT_TRUE(lines) << lines.error().message;
    return lines ? *lines : std::vector<AuditLine>();
  }
  AuditLine newest() {
    AuditQuery query;
    query.max = 1;
    const auto lines = ask(query);
    EXPECT_EQ(lines.size(), 1U);
    return lines.empty() ? AuditLine() : lines.front();
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
  Time now_{Duration(1'764'000'000'000)};
};

TEST_F(AuditTest, TellsWhoChangedWhatFromWhatToWhat) {
  turn({job(1, "zeus", kBob)});
  AuditLine line = newest();
  EXPECT_EQ(line.action, "job.submit");
  EXPECT_EQ(line.object, "projects/zeus/jobs/job-1");
  EXPECT_EQ(line.actor, "tokens/8");
  EXPECT_EQ(line.actor_name, "bob");
  EXPECT_EQ(line.role, "submitter");
  EXPECT_EQ(line.before, "");
  EXPECT_EQ(line.after, "cap 0.50, priority normal");
  EXPECT_EQ(line.time, now_);

  turn({core::JobUpdated{JobId(1), Money{800'000}, Priority::kHigh, kAnn}});
  line = newest();
  EXPECT_EQ(line.action, "job.update");
  EXPECT_EQ(line.actor_name, "ann");
  EXPECT_EQ(line.before, "cap 0.50, priority normal");
  EXPECT_EQ(line.after, "cap 0.80, priority high");

  turn({core::JobUpdated{JobId(1), Money{900'000}, {}, kAnn}});
  EXPECT_EQ(newest().before, "cap 0.80");

  turn({core::TokenRevoked{TokenId(kBob), kAnn}});
  line = newest();
  EXPECT_EQ(line.action, "token.revoke");
  EXPECT_EQ(line.object, "tokens/8");
  EXPECT_EQ(line.before, "submitter of projects/zeus, for bob");
  EXPECT_EQ(line.after, "revoked");
  EXPECT_EQ(line.project, "zeus");

  ledger::PriceBook book;
  book.entries.push_back({Time{}, "cpu", "any", false, Money{360'000}, {}});
  turn({core::PriceBookChanged{book, "first", kAnn}});
  EXPECT_EQ(newest().before, "");
  ledger::PriceBook dearer = book;
  dearer.entries[0].per_hour = Money{720'000};
  turn({core::PriceBookChanged{dearer, "second", kAnn}});
  line = newest();
  EXPECT_EQ(line.action, "prices.set");
  EXPECT_EQ(line.before, "USD, 1 entry: cpu 0.36 from 1970-01-01T00:00:00.000Z");
  EXPECT_EQ(line.after, "USD, 1 entry: cpu 0.72 from 1970-01-01T00:00:00.000Z");
}

TEST_F(AuditTest, AJoinFileAndItsWorker) {
  core::JoinFileCreated made;
  made.id = JoinFileId(3);
  made.uses = 2;
  made.expires = Time{Duration(1'764'086'400'000)};
  made.projects = {"apollo", "zeus"};
  made.may_set_price = true;
  made.actor = kAnn;
  turn({made});
  EXPECT_EQ(newest().after, "2 uses left until " + format_time(made.expires) +
                                ", of projects/apollo and projects/zeus, may set its price");
  turn({worker("box")});
  AuditLine line = newest();
  EXPECT_EQ(line.action, "worker.join");
  EXPECT_EQ(line.actor, "workers/box");
  EXPECT_EQ(line.object, "workers/box");
  EXPECT_EQ(line.after, "with join_files/3, 1.89 an hour");
  turn({core::JoinFileRevoked{JoinFileId(3), kAnn}});
  line = newest();
  EXPECT_EQ(line.action, "join_file.revoke");
  EXPECT_EQ(line.before.substr(0, 10), "1 use left");
  EXPECT_EQ(line.after, "revoked");
}

// A loss, a return and a removal that comes to its end are no decisions.
TEST_F(AuditTest, WorkersAreDecidedOnWhenTheirUseChanges) {
  turn({worker("box"),
        core::WorkerStateChanged{WorkerId(1), WorkerState::kReady, "connected", 0, false}});
  EXPECT_EQ(newest().action, "worker.join");
  turn({core::WorkerStateChanged{WorkerId(1), WorkerState::kDraining, "drained", kAnn, false}});
  AuditLine line = newest();
  EXPECT_EQ(line.action, "worker.drain");
  EXPECT_EQ(line.before, "READY");
  EXPECT_EQ(line.after, "DRAINING");
  EXPECT_EQ(line.reason, "drained");
  const std::uint64_t drained = line.number;
  turn({core::WorkerStateChanged{WorkerId(1), WorkerState::kLost, "silent", 0, false},
        core::WorkerStateChanged{WorkerId(1), WorkerState::kReady, "connected", 0, false},
        core::WorkerStateChanged{WorkerId(1), WorkerState::kDraining, "draining", 0, false}});
  EXPECT_EQ(newest().number, drained);
  turn({core::WorkerStateChanged{WorkerId(1), WorkerState::kReady, "resumed", kAnn, false}});
  EXPECT_EQ(newest().action, "worker.resume");
  turn({core::WorkerStateChanged{WorkerId(1), WorkerState::kDraining, "a tile failed its check", 0,
                                 false}});
  line = newest();
  EXPECT_EQ(line.actor, "coordinator");
  EXPECT_EQ(line.action, "worker.drain");
  turn({core::WorkerStateChanged{WorkerId(1), WorkerState::kDraining, "removed by a person", kAnn,
                                 true},
        core::WorkerStateChanged{WorkerId(1), WorkerState::kRemoved, "removed", 0, false}});
  line = newest();
  EXPECT_EQ(line.action, "worker.remove");
  EXPECT_EQ(line.after, "DRAINING, removed when it is empty");
  EXPECT_EQ(line.number, drained + 3);
}

TEST_F(AuditTest, AJobThatStopsIsOneLine) {
  turn({job(1, "zeus", kBob)});
  const auto changed = [](JobState state, core::Cause cause, std::uint64_t actor) {
    return core::JobStateChanged{JobId(1), state, cause, 1, "a reason", actor};
  };
  turn({changed(JobState::kRunning, core::Cause::kNone, 0)});
  EXPECT_EQ(newest().action, "job.submit");
  turn({changed(JobState::kStopping, core::Cause::kPerson, kBob)});
  turn({changed(JobState::kPaused, core::Cause::kPerson, kBob)});
  AuditLine line = newest();
  EXPECT_EQ(line.action, "job.pause");
  EXPECT_EQ(line.before, "RUNNING");
  EXPECT_EQ(line.after, "STOPPING");
  turn({changed(JobState::kQueued, core::Cause::kNone, kAnn)});
  EXPECT_EQ(newest().action, "job.resume");
  turn({changed(JobState::kRunning, core::Cause::kNone, 0)});
  turn({changed(JobState::kPaused, core::Cause::kBudget, 0)});
  line = newest();
  EXPECT_EQ(line.action, "job.pause");
  EXPECT_EQ(line.actor, "coordinator");
  EXPECT_EQ(line.reason, "a reason");
  turn({changed(JobState::kCancelled, core::Cause::kCancelled, kAnn)});
  EXPECT_EQ(newest().action, "job.cancel");
  // A worker that is lost or a job that ends decides nothing.
  turn({job(2, "zeus", kBob)});
  turn({core::JobStateChanged{JobId(2), JobState::kSucceeded, core::Cause::kDone, 0, "", kBob}});
  EXPECT_EQ(newest().action, "job.submit");
  AuditQuery of_job;
  of_job.object = "projects/zeus/jobs/job-1";
  EXPECT_EQ(ask(of_job).size(), 5U);
}

TEST_F(AuditTest, AProjectsLinesAreCountedByThemselves) {
  for (std::uint64_t i = 1; i <= 12; ++i) turn({job(i, i % 3 == 0 ? "zeus" : "apollo", kAnn)});
  store_.reset();  // numbers go on where they stood
  store_ = test::must_open(test::small_config(folder_.path()));
  ASSERT_TRUE(store_->restore());
  for (std::uint64_t i = 13; i <= 18; ++i) turn({job(i, i % 3 == 0 ? "zeus" : "apollo", kAnn)});
  std::map<std::string, std::uint64_t> expected{{"apollo", 13}, {"zeus", 8}};
  for (const auto& [project, count] : expected) {
    AuditQuery query;
    query.project = project;
    query.max = 3;
    std::uint64_t next = count;
    for (;;) {
      const auto page = ask(query);
      for (const AuditLine& line : page) {
        EXPECT_EQ(line.project, project);
        EXPECT_EQ(line.project_number, next--);
      }
      if (page.size() < query.max) break;
      query.below = page.back().project_number;
    }
    EXPECT_EQ(next, 0U) << project;
  }
  std::set<std::uint64_t> numbers;
  AuditQuery all;
  all.max = kPageMax;
  for (const AuditLine& line : ask(all)) numbers.insert(line.number);
  EXPECT_EQ(numbers.size(), 23U);
  EXPECT_EQ(*numbers.begin(), 1U);
  EXPECT_EQ(*numbers.rbegin(), 23U);
}

TEST_F(AuditTest, IsAskedByActorObjectAndTime) {
  turn({core::ProjectCreated{"zeus-2", kAnn}});
  turn({job(1, "zeus", kBob), job(2, "zeus-2", kAnn)});
  const Time then = now_;
  turn({job(3, "zeus", kAnn)});
  const auto objects = [this](AuditQuery query) {
    std::vector<std::string> out;
    for (const AuditLine& line : ask(query)) out.push_back(line.object);
    return out;
  };
  using List = std::vector<std::string>;
  // What lies under it, and nothing whose name only begins so.
  EXPECT_EQ(objects({.object = "projects/zeus"}),
            (List{"projects/zeus/jobs/job-3", "projects/zeus/jobs/job-1", "projects/zeus"}));
  EXPECT_EQ(objects({.object = "tokens"}), (List{"tokens/8", "tokens/7"}));
  EXPECT_EQ(objects({.object = "projects/zeus/jobs/job-1"}), List{"projects/zeus/jobs/job-1"});
  EXPECT_EQ(objects({.actor = "tokens/8"}), List{"projects/zeus/jobs/job-1"});
  EXPECT_EQ(objects({.actor = "tokens/8", .actor_name = "bob"}), List{"projects/zeus/jobs/job-1"});
  EXPECT_EQ(objects({.actor = "tokens/8", .actor_name = "ann"}), List{});
  EXPECT_EQ(objects({.actor = "tokens/7", .object = "projects/zeus"}),
            List{"projects/zeus/jobs/job-3"});
  EXPECT_EQ(
      objects({.since = then}),
      (List{"projects/zeus/jobs/job-3", "projects/zeus-2/jobs/job-2", "projects/zeus/jobs/job-1"}));
  // Another project's object is not there for who is bound to one.
  EXPECT_EQ(objects({.project = "apollo", .object = "projects/zeus"}), List{});
  // The bound one's token is its project's.
  EXPECT_EQ(objects({.project = "zeus", .object = "tokens"}), List{"tokens/8"});
}

TEST_F(AuditTest, TextsAreBounded) {
  core::JoinFileCreated made;
  made.id = JoinFileId(3);
  for (int i = 0; i < 1000; ++i) made.projects.push_back("project-" + std::to_string(i));
  turn({made});
  EXPECT_LE(newest().after.size(), 1000U);
  EXPECT_TRUE(newest().after.ends_with("…"));
}

}  // namespace
}  // namespace overwinter::store
