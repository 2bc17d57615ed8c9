// The routes over what a coordinator has after a restart: a real store, real views, a clock that
// stands still. Two jobs of `default` and one of `other` have ended; the first has left the core.
#pragma once

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/security/token.h"
#include "coordinator/dashboard/router.h"
#include "coordinator/runtime/requests.h"
#include "tests/support/page_parts.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::dashboard {

using namespace core::test;

inline constexpr auto kPatience = std::chrono::seconds(10);

// Stands still but when it is moved.
class SetClock final : public Clock {
 public:
  explicit SetClock(Time time) : ms_(time.time_since_epoch().count()) {}
  void advance(Duration time) { ms_ += time.count(); }
  [[nodiscard]] std::chrono::milliseconds wall() const override { return Duration(ms_.load()); }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return wall(); }

 private:
  std::atomic<std::int64_t> ms_;
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

class RouterFixture : public testing::Test {
 protected:
  // `more`: further steps in the cluster's life before the coordinator starts.
  explicit RouterFixture(const std::function<void(TestCluster&)>& more = {}) {
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
    if (more) more(cluster);
    cluster.run_for(Duration(5'000));
    forget(cluster, jobs_[0]);
    stored_.reopen();
    clock_.emplace(cluster.now + Duration(1));
    serving_ = {cluster.now, "https://box:7601"};
    loop_.emplace(stored_.scheduler(), *clock_, cluster.now, queue_, turns_, effects_, views_);
    costs_.emplace(views_, stored_.store());
    sources_.emplace(Sources{
        views_, *costs_, pool_, queue_, requests_, *loop_, stored_.store(),
        [] { return std::size_t{1}; },
        [](telemetry::Door) { return runtime::ConnectionCounts{.accepted = 7, .late = 2}; },
        serving_, [this] { return ready_; }, *page_.telemetry, *page_.checkpoints, *page_.sessions,
        [this](std::string_view code) -> Result<std::string> {
          if (code == code_) return std::exchange(code_, {}), viewer_;
          return fail(Code::kUnauthenticated, "that login code is not known");
        },
        notices_, *page_.audit});
    router_.emplace(*sources_);
  }
  ~RouterFixture() override {
    if (loop_) loop_->stop();
    requests_.fail_all();
    pool_.stop();
  }
  // From here on what is asked of the core is done.
  void start() {
    ASSERT_TRUE(queue_.post(core::CoordinatorStarted{}).ok());
    loop_->start();
    // What the start changes is seen before anything else happens: that project is there already.
    std::promise<core::Reply> refused;
    auto answer = refused.get_future();
    requests_.ask(core::ProjectCreateRequested{admin(), {}, "other"},
                  [&refused](const core::Reply& reply) { refused.set_value(reply); });
    ASSERT_EQ(answer.wait_for(kPatience), std::future_status::ready);
  }

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
    return ask(Request{method, target, token.empty() ? "" : "Bearer " + token, "localhost:7601"});
  }
  Response ask(const Request& request) {
    auto promise = std::make_shared<std::promise<Response>>();
    auto future = promise->get_future();
    router_->handle(request,
                    [promise](Response response) { promise->set_value(std::move(response)); });
    if (future.wait_for(kPatience) == std::future_status::ready) return future.get();
    ADD_FAILURE() << request.target << " was not answered";
    return {};
  }
  // As the page sends it.
  static Request from_page(const std::string& method, const std::string& target) {
    Request request{method, target, {}, "localhost:7601"};
    request.origin = "https://localhost:7601";
    request.fetch_site = "same-origin";
    request.content_type = "application/json";
    return request;
  }
  // With the cookie and the secret that a login with `token` gives.
  Request logged_in(const std::string& token, const std::string& target) {
    Request login = from_page("POST", "/api/v1/session:open");
    login.body = nlohmann::json{{"token", token}}.dump();
    const Response opened = ask(login);
    EXPECT_EQ(opened.status, 200U) << opened.body;
    Request request = from_page("GET", target);
    request.cookie = opened.set_cookie.substr(0, opened.set_cookie.find(';'));
    request.session = nlohmann::json::parse(opened.body).at("secret").get<std::string>();
    return request;
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
  test::PageParts page_{stored_.folder()};
  std::string code_ = "code";
  std::string admin_;
  std::string viewer_;
  std::vector<std::string> jobs_;
  std::optional<SetClock> clock_;
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
  runtime::Notices notices_{{views_, requests_, [this] { return loop_->now(); }, serving_,
                             stored_.folder() / "notify.yaml", stored_.folder() / "notify.told"}};
  runtime::BlockingPool pool_{{}};
  std::optional<runtime::CoordinatorLoop> loop_;
  std::optional<runtime::Costs> costs_;
  std::optional<Sources> sources_;
  std::optional<Router> router_;
};

}  // namespace overwinter::dashboard
