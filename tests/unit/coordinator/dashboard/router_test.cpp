#include "coordinator/dashboard/router.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "common/base/version.h"
#include "overwinter/v1/job.pb.h"
#include "tests/unit/coordinator/dashboard/router_fixture.h"

namespace overwinter::dashboard {
namespace {

class RouterTest : public RouterFixture {};

TEST_F(RouterTest, HealthAndThePageAloneAnswerWithoutACredential) {
  EXPECT_EQ(ask("/healthz").body, "ok\n");
  EXPECT_EQ(ask("/readyz").body, "ready\n");
  for (const char* path : {"/", "/jobs", "/projects/a/jobs/b", "/projects/a/jobs/b/logs",
                           "/workers", "/workers/w", "/audit", "/login"}) {
    const Response page = ask(path);
    EXPECT_EQ(page.status, 200U) << path;
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8") << path;
  }
  EXPECT_EQ(ask("/assets/none.js").status, 404U);
  for (const char* path :
       {"/metrics", "/api/v1/summary", "/api/v1/spend", "/api/v1/workers", "/nothing", "/api",
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

TEST_F(RouterTest, WhatWasSpentSumsToTheBills) {
  const auto sums = [&](const std::string& token) {
    const Response answer = ask("/api/v1/spend", token);
    EXPECT_EQ(answer.status, 200U);
    const auto spend = nlohmann::json::parse(answer.body);
    EXPECT_EQ(spend["hours"].size(), 24U);
    std::map<std::string, std::int64_t> out;
    for (const auto& hour : spend["hours"])
      for (const auto& [kind, amount] : hour.items())
        out[kind] += std::stoll(amount.get<std::string>());
    return out;
  };
  const auto summary = [&](const std::string& token) {
    return read<v1::ClusterStatus>(ask("/api/v1/summary", token)).cost_month().amount_micros();
  };
  auto all = sums(admin_);
  EXPECT_EQ(all["useful"] + all["waiting"] + all["redone"] + all["idle"], summary(admin_));
  auto mine = sums(viewer_);
  EXPECT_EQ(mine["useful"] + mine["waiting"] + mine["redone"], summary(viewer_));
  EXPECT_EQ(mine["idle"], 0);
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
  // What a filter leaves in is counted, of the time since which jobs were made too.
  const auto since = [&](const std::string& time) {
    return read<v1::ListJobsResponse>(
        ask("/api/v1/projects/-/jobs?pageSize=1&filter=create_time%3E%3D" + time, admin_));
  };
  EXPECT_EQ(since("2026-01-01T00:00:00Z").total_size(), 3);
  EXPECT_EQ(since("2026-01-01T00:00:00Z").jobs_size(), 1);
  EXPECT_EQ(since("2027-01-01T00:00:00Z").total_size(), 0);
  EXPECT_EQ(ask("/api/v1/projects/-/jobs?filter=create_time%3E%3Dsoon", admin_).status, 400U);
}

TEST_F(RouterTest, ASessionIsItsTokenAndNeedsItsSecretToo) {
  const Request good = logged_in(viewer_, "/api/v1/session");
  const Response who = ask(good);
  ASSERT_EQ(who.status, 200U) << who.body;
  EXPECT_EQ(nlohmann::json::parse(who.body).at("role"), "viewer");
  EXPECT_EQ(nlohmann::json::parse(who.body).at("project"), "default");

  Request cookie_alone = good;
  cookie_alone.session.clear();
  EXPECT_EQ(ask(cookie_alone).status, 401U);
  Request secret_alone = good;
  secret_alone.cookie.clear();
  EXPECT_EQ(ask(secret_alone).status, 401U);
  Request others = good;
  others.session = logged_in(admin_, "/").session;
  EXPECT_EQ(ask(others).status, 401U);
  Request elsewhere = good;
  elsewhere.host = "evil.example";
  EXPECT_EQ(ask(elsewhere).status, 403U);

  // What it may is what its token may, at the time of the call.
  core::TokenRevokeRequested revoke;
  revoke.by = admin();
  for (const runtime::TokenView& token : views_.tokens()) {
    if (token.role == Role::kViewer) revoke.token = token.id;
  }
  auto view = *views_.token(revoke.token);
  view.revoked = true;
  runtime::ViewChange change;
  change.tokens.push_back(view);
  views_.apply(change);
  EXPECT_EQ(ask(good).status, 401U);
}

TEST_F(RouterTest, ALoginComesFromThePageAlone) {
  Request login = from_page("POST", "/api/v1/session:open");
  login.body = nlohmann::json{{"code", "code"}}.dump();
  const std::vector<std::pair<const char*, void (*)(Request&)>> wrong{
      {"host", [](Request& r) { r.host = "evil.example"; }},
      {"origin", [](Request& r) { r.origin = "https://evil.example"; }},
      {"port", [](Request& r) { r.origin = "https://localhost:9999"; }},
      {"no origin", [](Request& r) { r.origin.clear(); }},
      {"site", [](Request& r) { r.fetch_site = "same-site"; }},
      {"a form", [](Request& r) { r.content_type = "text/plain"; }}};
  for (const auto& [what, spoil] : wrong) {
    Request bad = login;
    spoil(bad);
    EXPECT_EQ(ask(bad).status, 403U) << what;
  }
  EXPECT_EQ(ask("/api/v1/session:open", {}, "GET").status, 405U);
  const Response opened = ask(login);
  EXPECT_EQ(opened.status, 200U) << opened.body;
  EXPECT_TRUE(opened.set_cookie.starts_with("__Host-overwinter=")) << opened.set_cookie;
  for (const char* part : {"; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"}) {
    EXPECT_NE(opened.set_cookie.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(ask(login).status, 401U) << "a code is good once";
  login.body = "[]";
  EXPECT_EQ(ask(login).status, 400U);
  login.body = "{\"token\": \"ow_wrong\"}";
  EXPECT_EQ(ask(login).status, 401U);
  const Response closed = ask(from_page("POST", "/api/v1/session:close"));
  EXPECT_EQ(closed.status, 200U);
  EXPECT_NE(closed.set_cookie.find("Max-Age=0"), std::string::npos);
}

TEST_F(RouterTest, TheRoutesOfAJobAnswer) {
  const std::string job = "/api/v1/" + jobs_[0];
  EXPECT_EQ(ask(job + ":explain", viewer_).status, 200U);
  const auto timeline = nlohmann::json::parse(ask(job + "/timeline", viewer_).body);
  EXPECT_TRUE(timeline.at("complete"));
  ASSERT_EQ(timeline.at("bars").size(), 1U) << timeline;
  EXPECT_EQ(timeline.at("bars")[0].at("worker"), "box");
  EXPECT_EQ(timeline.at("bars")[0].at("charged"), "1234");
  EXPECT_EQ(timeline.at("bars")[0].at("open"), false);
  EXPECT_EQ(timeline.at("steps")[0].at("state"), "QUEUED");
  EXPECT_EQ(timeline.at("steps").back().at("state"), "SUCCEEDED");
  EXPECT_EQ(ask(job + "/checkpoints", viewer_).status, 200U);
  EXPECT_EQ(ask(job + "/series", viewer_).body, "{\"series\":[]}\n");
  EXPECT_EQ(nlohmann::json::parse(ask(job + "/logs", viewer_).body).at("lines").size(), 0U);
  EXPECT_EQ(ask(job + "/logs:search?q=x", viewer_).status, 200U);
  for (const char* bad : {"/logs?from=1&before=2", "/logs?lines=0", "/logs?lines=501",
                          "/logs?rank=x", "/logs?rank=4294967296", "/logs:search", "/series?x=y",
                          "/series?points=5001", "/series?colour=red"}) {
    EXPECT_EQ(ask(job + bad, viewer_).status, 400U) << bad;
  }
  // Of another project, and of none.
  for (const char* rest :
       {"", ":explain", "/timeline", "/checkpoints", "/series", "/logs", "/logs:search?q=x"}) {
    const Response hidden = ask("/api/v1/" + jobs_[1] + rest, viewer_);
    EXPECT_EQ(hidden.status, 404U) << rest;
    EXPECT_EQ(ask("/api/v1/projects/default/jobs/none-00000" + std::string(rest), viewer_).status,
              404U)
        << rest;
  }
  EXPECT_EQ(ask("/api/v1/workers/box", viewer_).status, 200U);
  EXPECT_EQ(ask("/api/v1/workers/none", viewer_).status, 404U);
}

TEST_F(RouterTest, ABatchIsItsReads) {
  const auto batch = [this](const std::vector<std::string>& reads) {
    std::string target = "/api/v1/batch";
    for (const std::string& one : reads) {
      std::string coded = one;
      for (auto at = coded.find('&'); at != std::string::npos; at = coded.find('&', at + 1))
        coded.replace(at, 1, "%26");
      target += (target.ends_with("batch") ? "?get=" : "&get=") + coded;
    }
    return ask(target, viewer_);
  };
  const std::vector<std::string> reads{jobs_[0],
                                       jobs_[0] + "/timeline",
                                       jobs_[0] + "/logs?lines=5&rank=0",
                                       jobs_[1],                    // of another project
                                       "audit",                     // of another role
                                       jobs_[0] + "/logs?lines=x",  // no number
                                       "nothing/here"};
  const Response all = batch(reads);
  ASSERT_EQ(all.status, 200U) << all.body;
  const auto answers = nlohmann::json::parse(all.body).at("answers");
  ASSERT_EQ(answers.size(), reads.size());
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const Response alone = ask("/api/v1/" + reads[i], viewer_);
    EXPECT_EQ(answers[i].at("status"), alone.status) << reads[i];
    EXPECT_EQ(answers[i].at("body"), nlohmann::json::parse(alone.body)) << reads[i];
    EXPECT_EQ(answers[i].contains("event"), alone.status == 200) << reads[i];
    if (alone.event) {
      EXPECT_EQ(answers[i].at("event"), std::to_string(*alone.event)) << reads[i];
    }
  }
  // Neither a stream, nor an action, nor what is no JSON, nor itself.
  for (const std::string& one : {std::string("events"), jobs_[0] + ":pause",
                                 std::string("batch?get=session"), std::string("../../metrics")}) {
    const Response refused = batch({one});
    ASSERT_EQ(refused.status, 200U) << one;
    const unsigned status = nlohmann::json::parse(refused.body).at("answers")[0].at("status");
    EXPECT_TRUE(status == 400 || status == 404) << one << ": " << status;
  }
  EXPECT_EQ(batch({}).status, 400U);
  EXPECT_EQ(batch(std::vector<std::string>(8, "session")).status, 200U);
  EXPECT_EQ(batch(std::vector<std::string>(9, "session")).status, 400U);
  EXPECT_EQ(ask("/api/v1/batch?put=session", viewer_).status, 400U);
  EXPECT_EQ(ask("/api/v1/batch?get=session").status, 401U);
  EXPECT_EQ(ask("/api/v1/batch?get=session", viewer_, "POST").status, 405U);
}

TEST_F(RouterTest, AnAddressThatSomebodyTypedIsAnsweredByThePage) {
  Request typed{"GET", "/money", {}, "localhost"};
  typed.fetch_mode = "navigate";
  const Response page = ask(typed);
  EXPECT_EQ(page.status, 404U);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  typed.target = "/api/v1/nothing";
  EXPECT_EQ(ask(typed).status, 401U);
  typed.host = "evil.example";
  typed.target = "/jobs";
  EXPECT_EQ(ask(typed).status, 403U);
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
