// The audit over HTTP, and what it is told of requests that are refused.
#include "coordinator/dashboard/audit_routes.h"

#include <gtest/gtest.h>

#include "overwinter/v1/audit.pb.h"
#include "tests/unit/coordinator/dashboard/router_fixture.h"

namespace overwinter::dashboard {
namespace {

class AuditRoutesTest : public RouterFixture {
 protected:
  AuditRoutesTest() : RouterFixture() {}
  v1::ListAuditEntriesResponse list(const std::string& query, const std::string& token) {
    return read<v1::ListAuditEntriesResponse>(ask("/api/v1/audit" + query, token));
  }
  Response ask_from(const std::string& address, const std::string& target,
                    const std::string& token = {}) {
    Request request{"GET", target, token.empty() ? "" : "Bearer " + token, "localhost:7601"};
    request.address = address;
    return RouterFixture::ask(request);
  }
};

TEST_F(AuditRoutesTest, ListsWhatWasDecidedAndFilters) {
  const auto all = list("", admin_);
  ASSERT_GT(all.entries_size(), 5);
  EXPECT_EQ(all.entries(all.entries_size() - 1).action(), "cluster.create");
  const auto jobs = list("?object=projects%2Fother", admin_);
  ASSERT_EQ(jobs.entries_size(), 2);
  EXPECT_EQ(jobs.entries(0).object(), jobs_[1]);
  EXPECT_EQ(jobs.entries(1).action(), "project.create");
  const auto page = list("?pageSize=2", admin_);
  EXPECT_EQ(page.entries_size(), 2);
  const auto next = list("?pageSize=2&pageToken=" + page.next_page_token(), admin_);
  EXPECT_EQ(next.entries(0).SerializeAsString(), all.entries(2).SerializeAsString());
  EXPECT_EQ(list("?since=2199-01-01T00:00:00Z", admin_).entries_size(), 0);
  EXPECT_EQ(ask("/api/v1/audit?since=yesterday", admin_).status, 400U);
  EXPECT_EQ(ask("/api/v1/audit?refusals=perhaps", admin_).status, 400U);
  EXPECT_EQ(ask("/api/v1/audit?nothing=x", admin_).status, 400U);
  EXPECT_EQ(ask("/api/v1/audit", viewer_).status, 403U);
  EXPECT_EQ(ask("/api/v1/audit").status, 401U);
}

TEST_F(AuditRoutesTest, IsToldOfRefusalsWithTheirAddressAndNothingOfAStrangersText) {
  EXPECT_EQ(ask_from("192.0.2.1", "/api/v1/" + jobs_[0]).status, 401U);
  EXPECT_EQ(ask_from("192.0.2.2", "/api/v1/audit", viewer_).status, 403U);
  EXPECT_EQ(ask_from("192.0.2.3", "/api/v1/workers/%1b%5b31m", "ow_wrong").status, 401U);
  EXPECT_EQ(ask_from("192.0.2.4", "/evil/<script>").status, 401U);
  EXPECT_EQ(ask_from("192.0.2.5", "/api/v1/workers/none", viewer_).status, 404U);  // none
  const auto refusals = list("?refusals=true", admin_);
  ASSERT_EQ(refusals.entries_size(), 4);
  const auto& nowhere = refusals.entries(0);
  EXPECT_EQ(nowhere.address(), "192.0.2.4");
  EXPECT_EQ(nowhere.action(), "an address that is not there");
  EXPECT_EQ(nowhere.object(), "");
  EXPECT_EQ(refusals.entries(1).action(), "/api/v1/workers/{}");
  EXPECT_EQ(refusals.entries(1).object(), "");
  const auto& viewer = refusals.entries(2);
  EXPECT_EQ(viewer.outcome(), "PERMISSION_DENIED");
  EXPECT_EQ(viewer.role(), "viewer");
  EXPECT_NE(viewer.actor().find("(ann)"), std::string::npos);
  EXPECT_NE(viewer.reason().find("read the audit"), std::string::npos);
  const auto& job = refusals.entries(3);
  EXPECT_EQ(job.outcome(), "UNAUTHENTICATED");
  EXPECT_EQ(job.object(), jobs_[0]);
  EXPECT_EQ(job.actor(), "");
}

TEST_F(AuditRoutesTest, CountsEveryRefusalInTheMetrics) {
  for (int i = 0; i < 300; ++i) ask("/api/v1/workers");
  EXPECT_LE(list("?refusals=true", admin_).entries_size(), 10);
  const std::string text = ask("/metrics", admin_).body;
  EXPECT_NE(text.find("overwinter_refusals_total{server=\"dashboard\",code=\"UNAUTHENTICATED\"} "
                      "300\n"),
            std::string::npos)
      << text;
  // Who is bound to a project is not told what others are refused.
  EXPECT_EQ(ask("/metrics", viewer_).body.find("refusals_total"), std::string::npos);
}

// An auditor has a token before the coordinator starts.
// Before the fixture, which fills it as it is made.
struct Auditor {
  std::string auditor_;
};

class AuditorTest : protected Auditor, public RouterFixture {
 protected:
  AuditorTest()
      : RouterFixture([this](TestCluster&) { auditor_ = add_token(Role::kAuditor, ""); }) {}
};

TEST_F(AuditorTest, MayLogInToThePageAndReadTheAuditAlone) {
  const auto session = nlohmann::json::parse(ask(logged_in(auditor_, "/api/v1/session")).body);
  EXPECT_TRUE(session.at("may").at("readAudit"));
  EXPECT_FALSE(session.at("may").at("readJobs"));
  EXPECT_FALSE(
      nlohmann::json::parse(ask("/api/v1/session", viewer_).body).at("may").at("readAudit"));
  EXPECT_EQ(ask("/audit").status, 200U);  // the page itself, to everybody
  EXPECT_EQ(ask("/api/v1/audit", auditor_).status, 200U);
  EXPECT_EQ(ask("/api/v1/projects/default/jobs", auditor_).status, 403U);
}

TEST(AuditObject, IsAResourceBelowTheApi) {
  EXPECT_EQ(object_of("/api/v1/projects/demo/jobs/gpt-7k2f9"), "projects/demo/jobs/gpt-7k2f9");
  EXPECT_EQ(object_of("/api/v1/projects/demo/jobs/gpt-7k2f9:pause"),
            "projects/demo/jobs/gpt-7k2f9");
  EXPECT_EQ(object_of("/api/v1/workers"), "");
  EXPECT_EQ(object_of("/metrics"), "");
  EXPECT_EQ(object_of("/api/v1/workers/<b>"), "");
  EXPECT_EQ(object_of("/api/v1/workers/" + std::string(300, 'a')), "");
}

}  // namespace
}  // namespace overwinter::dashboard
