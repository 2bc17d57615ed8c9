// The routes over what a coordinator has after a restart: a real store, real views, a clock that
// stands still.
#include "coordinator/dashboard/router.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "common/base/version.h"
#include "common/security/token.h"
#include "coordinator/runtime/requests.h"
#include "overwinter/v1/job.pb.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::dashboard {
namespace {

using namespace core::test;

constexpr auto kPatience = std::chrono::seconds(10);

class StillClock final : public Clock {
 public:
  explicit StillClock(Time time) : time_(time) {}
  [[nodiscard]] std::chrono::milliseconds wall() const override { return time_.time_since_epoch(); }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override {
    return std::chrono::nanoseconds(1);
  }

 private:
  const Time time_;
};
struct NoTurns final : runtime::TurnSink {
  Status commit(std::span<const runtime::Turn>) override { return Status::success(); }
};
struct NoWorkers final : runtime::WorkerLink {
  void launch(const core::LaunchGang&) override {}
  void order(const core::Effect&) override {}
  void flush() override {}
  void end_principal(const core::EndPrincipal&) override {}
};
struct NoResults final : runtime::ResultPort {
  void prepare(const core::PrepareResult&) override {}
  void finish(const core::FinishResult&) override {}
  void drop(const core::DropResult&) override {}
};
struct NoPlans final : runtime::ReplanPort {
  void replan(JobId) override {}
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    TestCluster& cluster = stored_.cluster;
    cluster.set_prices(a_book(3'600'000));
    cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
    admin_ = add_token(Role::kAdmin, "");
    viewer_ = add_token(Role::kViewer, "default");
    const WorkerId worker = cluster.joined(a_worker().named("box").with_device(4 * kGiB, 4));
    for (const char* project : {"default", "other", "default"}) {
      const JobId job =
          cluster.submit(a_job().in(project).with_threads(4).with_landing(Landing::kReport));
      const SeatKey seat = cluster.seat(job);
      cluster.began(seat);
      cluster.run_for(Duration(1'234));
      cluster.report(worker, core::UnitsReported{seat, units(0, 1)});
      if (cluster.state().find_seat(seat) != nullptr) cluster.end(seat, Duration(1'234));
      jobs_.push_back("projects/" + std::string(project) + "/jobs/" + cluster.job(job).name);
    }
    cluster.run_for(Duration(5'000));
    forget(cluster, jobs_[0]);
    stored_.reopen();
    clock_.emplace(cluster.now + Duration(1));
    serving_ = {cluster.now, "https://box:7601"};
    loop_.emplace(stored_.scheduler(), *clock_, cluster.now, queue_, turns_, effects_, views_);
    costs_.emplace(views_, stored_.store());
    router_.emplace(Sources{views_, *costs_, pool_, queue_, *loop_, stored_.store(),
                            [] { return std::size_t{1}; }, serving_, [this] { return ready_; }});
  }
  ~RouterTest() override { pool_.stop(); }

  std::string add_token(Role role, const std::string& project) {
    std::string token = make_token();
    core::TokenCreateRequested event;
    event.by = admin();
    event.hash = token_hash(token);
    event.role = role;
    event.project = project;
    event.name = "ann";
    stored_.cluster.step(event);
    return token;
  }
  // What the core does with an ended job after an hour.
  void forget(const TestCluster& cluster, const std::string& name) {
    stored_.save();
    for (const auto& [id, job] : cluster.state().jobs) {
      if (!name.ends_with("/" + job.name)) continue;
      const core::Fact fact = core::JobForgotten{id};
      stored_.commit(cluster.now, {&fact, 1});
    }
  }

  Response ask(const std::string& target, const std::string& token = {},
               const std::string& method = "GET") {
    auto promise = std::make_shared<std::promise<Response>>();
    auto future = promise->get_future();
    router_->handle({method, target, token.empty() ? "" : "Bearer " + token},
                    [promise](Response response) { promise->set_value(std::move(response)); });
    if (future.wait_for(kPatience) == std::future_status::ready) return future.get();
    ADD_FAILURE() << target << " was not answered";
    return {};
  }
  template <class Message>
  Message read(const Response& response) {
    Message out;
    EXPECT_EQ(response.status, 200U) << response.body;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(response.body, &out).ok())
        << response.body;
    return out;
  }

  test::StoredCluster stored_;
  std::string admin_;
  std::string viewer_;
  std::vector<std::string> jobs_;
  std::optional<StillClock> clock_;
  runtime::Serving serving_;
  bool ready_ = true;
  runtime::EventQueue queue_{{}};
  runtime::Requests requests_{queue_};
  NoTurns turns_;
  NoWorkers workers_;
  NoResults results_;
  NoPlans plans_;
  runtime::EffectDispatcher effects_{{&workers_, &requests_, &results_, &plans_}};
  runtime::Views views_{1};
  runtime::BlockingPool pool_{{}};
  std::optional<runtime::CoordinatorLoop> loop_;
  std::optional<runtime::Costs> costs_;
  std::optional<Router> router_;
};

TEST_F(RouterTest, OnlyThreeRoutesAnswerWithoutACredential) {
  EXPECT_EQ(ask("/healthz").body, "ok\n");
  EXPECT_EQ(ask("/readyz").body, "ready\n");
  EXPECT_EQ(ask("/").status, 200U);
  for (const char* path : {"/metrics", "/api/v1/summary", "/api/v1/workers", "/nothing", "/api",
                           "/api/v1/projects/default/jobs", "//", "/healthz/"}) {
    EXPECT_EQ(ask(path).status, 401U) << path;
    EXPECT_EQ(ask(path, "ow_wrong").status, 401U) << path;
  }
  EXPECT_EQ(ask("/nothing", admin_).status, 404U);
  EXPECT_EQ(ask("/api/v1/summary", admin_, "POST").status, 405U);
}

TEST_F(RouterTest, NothingButHealthIsAnsweredBeforeItIsReady) {
  ready_ = false;
  EXPECT_EQ(ask("/healthz").status, 200U);
  EXPECT_EQ(ask("/readyz").status, 503U);
  EXPECT_EQ(ask("/readyz").body, "unready\n");
  EXPECT_EQ(ask("/api/v1/summary", admin_).status, 503U);
  EXPECT_EQ(ask("/metrics", admin_).status, 503U);
  ready_ = true;
  EXPECT_EQ(ask("/readyz").status, 200U);
  EXPECT_EQ(ask("/api/v1/summary", admin_).status, 200U);
}

TEST_F(RouterTest, TheSummaryIsWhole) {
  const auto status = read<v1::ClusterStatus>(ask("/api/v1/summary", admin_));
  EXPECT_EQ(status.cluster(), "test");
  EXPECT_EQ(status.version(), kVersion);
  EXPECT_EQ(status.dashboard(), "https://box:7601");
  EXPECT_EQ(status.started().seconds(), unix_ms(serving_.started) / 1000);
  // One machine at one micro-unit a millisecond, since it joined.
  const auto& worker = *stored_.cluster.state().workers.begin();
  const std::int64_t joined = unix_ms(worker.second.registered_at);
  EXPECT_EQ(status.cost_today().amount_micros(), unix_ms(loop_->now()) - joined);
  // Of one project: its jobs.
  const auto mine = read<v1::ClusterStatus>(ask("/api/v1/summary", viewer_));
  EXPECT_EQ(mine.cost_today().amount_micros(), 2 * 1'234);
}

TEST_F(RouterTest, JobsOfThePastAreListedAndReadAndOthersAreNotThere) {
  const auto all = read<v1::ListJobsResponse>(ask("/api/v1/projects/-/jobs", admin_));
  ASSERT_EQ(all.jobs_size(), 3);
  EXPECT_EQ(all.jobs(0).name(), jobs_[2]);
  EXPECT_EQ(all.jobs(2).name(), jobs_[0]);
  const auto first = read<v1::ListJobsResponse>(ask("/api/v1/projects/-/jobs?pageSize=2", admin_));
  const auto second = read<v1::ListJobsResponse>(
      ask("/api/v1/projects/-/jobs?pageSize=2&pageToken=" + first.next_page_token(), admin_));
  ASSERT_EQ(second.jobs_size(), 1);
  EXPECT_EQ(second.jobs(0).name(), jobs_[0]);
  EXPECT_EQ(read<v1::Job>(ask("/api/v1/" + jobs_[0], viewer_)).state(), v1::Job::SUCCEEDED);
  const auto mine = read<v1::ListJobsResponse>(ask("/api/v1/projects/-/jobs", viewer_));
  EXPECT_EQ(mine.jobs_size(), 2);
  const Response hidden = ask("/api/v1/" + jobs_[1], viewer_);
  EXPECT_EQ(hidden.status, 404U);
  EXPECT_EQ(ask("/api/v1/projects/other/jobs", viewer_).status, 404U);
  EXPECT_EQ(ask("/api/v1/projects/none/jobs", viewer_).status, 404U);
  EXPECT_EQ(ask("/api/v1/projects/default/jobs?colour=red", viewer_).status, 400U);
  EXPECT_EQ(ask("/api/v1/projects/default/jobs?pageSize=x", viewer_).status, 400U);
  EXPECT_EQ(ask("/api/v1/projects/default/jobs?filter=state%3D", viewer_).status, 400U);
}

TEST_F(RouterTest, MetricsShowTheMoneyThatTheApiShows) {
  const std::string text = ask("/metrics", admin_).body;
  const auto has = [&](const std::string& line) {
    EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << "\nin\n" << text;
  };
  const auto amount = [](const v1::Money& money) {
    return format_money(Money{money.amount_micros()});
  };
  const Principal all{PrincipalKind::kPerson, 1, Role::kAdmin, {}, "root"};
  v1::ListJobCostsResponse jobs;
  ASSERT_TRUE(costs_->list_jobs(all, {}, loop_->now(), jobs).ok());
  ASSERT_EQ(jobs.jobs_size(), 3);
  int lines = 0;
  for (const auto& job : jobs.jobs()) {
    if (job.job() == jobs_[0]) continue;  // it has left the core
    has("overwinter_job_cost{job=\"" + job.job() + "\",currency=\"USD\"} " + amount(job.charged()));
    ++lines;
  }
  EXPECT_EQ(lines, 2);
  EXPECT_EQ(text.find("job=\"" + jobs_[0]), std::string::npos);
  has("overwinter_jobs_cost{currency=\"USD\"} " + amount(jobs.total()));
  EXPECT_EQ(jobs.total().amount_micros(), 3 * 1'234);
  v1::ListMachineCostsResponse machines;
  ASSERT_TRUE(costs_->list_machines({}, loop_->now(), machines).ok());
  ASSERT_EQ(machines.machines_size(), 1);
  const std::string box = "overwinter_machine_cost{worker=\"workers/box\",currency=\"USD\",kind=";
  has(box + "\"jobs\"} " + amount(machines.machines(0).jobs()));
  has(box + "\"idle\"} " + amount(machines.machines(0).idle()));
  has(box + "\"lost\"} " + amount(machines.machines(0).lost()));
  has("overwinter_machines_cost{currency=\"USD\",kind=\"idle\"} " +
      amount(machines.total().idle()));
  // Nothing of other projects, and no machines, for a token of one.
  const std::string mine = ask("/metrics", viewer_).body;
  EXPECT_EQ(mine.find("projects/other"), std::string::npos);
  EXPECT_EQ(mine.find("machine_cost"), std::string::npos);
  EXPECT_NE(mine.find("overwinter_jobs_cost{currency=\"USD\"} 0.002468"), std::string::npos)
      << mine;
}

}  // namespace
}  // namespace overwinter::dashboard
