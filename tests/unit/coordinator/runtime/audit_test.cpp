// One list from three sources: facts, decisions that are none, refusals.
#include "coordinator/runtime/audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/wire/convert.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::runtime {
namespace {

const Principal kAuditor{PrincipalKind::kPerson, 1, Role::kAuditor, {}, "aud"};
const Principal kOfDemo{PrincipalKind::kPerson, 2, Role::kAuditor, "demo", "dem"};

class AuditListTest : public testing::Test {
 protected:
  AuditListTest() : log_(std::move(telemetry::AuditLog::open(stored_.folder() / "audit").value())) {
    decide(core::ProjectCreated{"demo", 0});
    decide(core::ProjectCreated{"other", 0});
    core::TokenCreated ann;
    ann.id = TokenId(7);
    ann.role = Role::kAdmin;
    ann.name = "ann";
    decide(ann);
  }
  void decide(const core::Fact& fact) {
    now_ += Duration(1000);
    stored_.commit(now_, {&fact, 1});
  }
  void submit(std::uint64_t id, const std::string& project) {
    core::JobAccepted job;
    job.job = JobId(id);
    job.project = project;
    job.name = "job-" + std::to_string(id);
    job.spec = std::make_shared<const std::string>("a spec");
    job.plan = std::make_shared<const std::string>("a plan");
    job.actor = 7;
    decide(job);
  }
  void refuse(const std::string& actor) {
    now_ += Duration(1000);
    telemetry::AuditEvent event = audit_event(nullptr, now_);
    event.code = Code::kPermissionDenied;
    event.actor = actor;
    event.action = "AdminService/DrainWorker";
    event.address = "192.0.2.1";
    log_->refused(std::move(event));
  }
  void set_secret(const std::string& project) {
    now_ += Duration(1000);
    const Principal bob{PrincipalKind::kPerson, 8, Role::kSubmitter, project, "bob"};
    telemetry::AuditEvent event = audit_event(&bob, now_);
    event.action = "secret.set";
    event.object = "projects/" + project + "/secrets/KEY";
    event.project = project;
    log_->decided(std::move(event));
  }
  Status list(const Principal& caller, const v1::ListAuditEntriesRequest& request,
              v1::ListAuditEntriesResponse& response) {
    return list_audit(stored_.store(), *log_, caller, request, response);
  }
  // All pages of `size`.
  std::vector<v1::AuditEntry> all(const Principal& caller, v1::ListAuditEntriesRequest request = {},
                                  int size = 0) {
    std::vector<v1::AuditEntry> out;
    request.set_page_size(size);
    for (int page = 0; page < 1000; ++page) {
      v1::ListAuditEntriesResponse response;
      const Status status = list(caller, request, response);
      EXPECT_TRUE(status.ok()) << status.message;
      EXPECT_LE(response.entries_size(), size > 0 ? size : kAuditPage);
      out.insert(out.end(), response.entries().begin(), response.entries().end());
      if (response.next_page_token().empty()) return out;
      request.set_page_token(response.next_page_token());
    }
    ADD_FAILURE() << "the pages do not end";
    return out;
  }
  static std::vector<std::string> actions(const std::vector<v1::AuditEntry>& entries) {
    std::vector<std::string> out;
    for (const auto& entry : entries) out.push_back(entry.action());
    return out;
  }

  test::StoredCluster stored_;
  std::unique_ptr<telemetry::AuditLog> log_;
  Time now_{Duration(1'764'000'000'000)};
};

TEST_F(AuditListTest, MergesItsSourcesByTimeAndEachOnceWhateverThePages) {
  for (std::uint64_t i = 1; i <= 9; ++i) {
    submit(i, i % 2 == 0 ? "demo" : "other");
    refuse("tokens/" + std::to_string(20 + i));
    if (i % 3 == 0) set_secret(i % 2 == 0 ? "demo" : "other");
  }
  const auto whole = all(kAuditor);
  ASSERT_EQ(whole.size(), 3U + 9 + 9 + 3);
  for (std::size_t i = 1; i < whole.size(); ++i) {
    EXPECT_GE(wire::from_proto(whole[i - 1].time()), wire::from_proto(whole[i].time()));
  }
  EXPECT_EQ(whole[0].action(), "secret.set");
  EXPECT_EQ(whole[0].outcome(), "done");
  EXPECT_EQ(whole[0].number(), 0U);
  EXPECT_EQ(whole[1].outcome(), "PERMISSION_DENIED");
  EXPECT_EQ(whole[1].address(), "192.0.2.1");
  EXPECT_EQ(whole[1].number(), 0U);
  EXPECT_EQ(whole[2].action(), "job.submit");
  EXPECT_EQ(whole[2].actor(), "tokens/7 (ann)");
  EXPECT_EQ(whole[2].role(), "admin");
  EXPECT_EQ(whole[2].number(), 12U);
  for (const int size : {1, 2, 5, 7, 24, 100}) {
    const auto paged = all(kAuditor, {}, size);
    ASSERT_EQ(paged.size(), whole.size()) << size;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(paged[i].SerializeAsString(), whole[i].SerializeAsString()) << size;
    }
  }
}

TEST_F(AuditListTest, PagesAreNotMovedByWhatComesBetweenThem) {
  for (std::uint64_t i = 1; i <= 6; ++i) submit(i, "demo");
  v1::ListAuditEntriesRequest request;
  request.set_page_size(4);
  v1::ListAuditEntriesResponse first;
  ASSERT_TRUE(list(kAuditor, request, first).ok());
  submit(7, "demo");
  refuse("tokens/9");
  set_secret("demo");
  std::set<std::string> objects;
  for (const auto& entry : first.entries()) objects.insert(entry.object());
  request.set_page_token(first.next_page_token());
  v1::ListAuditEntriesResponse second;
  ASSERT_TRUE(list(kAuditor, request, second).ok());
  for (const auto& entry : second.entries()) {
    EXPECT_TRUE(objects.insert(entry.object()).second) << entry.object();
    EXPECT_EQ(entry.outcome(), "done");
    EXPECT_NE(entry.object(), "projects/demo/jobs/job-7");
    EXPECT_NE(entry.action(), "secret.set");
  }
}

TEST_F(AuditListTest, AProjectSeesItsOwnNumberedByThemselves) {
  for (std::uint64_t i = 1; i <= 10; ++i) submit(i, i == 4 || i == 9 ? "demo" : "other");
  set_secret("other");
  set_secret("demo");
  refuse("tokens/2");
  const auto seen = all(kOfDemo, {}, 2);
  EXPECT_EQ(actions(seen),
            (std::vector<std::string>{"secret.set", "job.submit", "job.submit", "project.create"}));
  EXPECT_EQ(seen[1].number(), 3U);
  EXPECT_EQ(seen[2].number(), 2U);
  EXPECT_EQ(seen[3].number(), 1U);
  for (const auto& entry : seen) {
    EXPECT_EQ(entry.SerializeAsString().find("other"), std::string::npos);
  }
  v1::ListAuditEntriesRequest others;
  others.set_object("projects/other");
  EXPECT_TRUE(all(kOfDemo, others).empty());
  v1::ListAuditEntriesRequest refusals;
  refusals.set_refusals(true);
  v1::ListAuditEntriesResponse response;
  EXPECT_EQ(list(kOfDemo, refusals, response).code, Code::kPermissionDenied);
  EXPECT_EQ(all(kAuditor, refusals).size(), 1U);
}

TEST_F(AuditListTest, FiltersHoldForEverySource) {
  submit(1, "demo");
  set_secret("demo");
  const Time then = now_ + Duration(1);
  refuse("tokens/8");
  submit(2, "demo");
  v1::ListAuditEntriesRequest request;
  request.set_object("projects/demo/");
  EXPECT_EQ(all(kAuditor, request).size(), 4U);
  request.set_object("projects/demo/secrets");
  EXPECT_EQ(actions(all(kAuditor, request)), std::vector<std::string>{"secret.set"});
  request.clear_object();
  request.set_actor("tokens/8");
  EXPECT_EQ(actions(all(kAuditor, request)),
            (std::vector<std::string>{"AdminService/DrainWorker", "secret.set"}));
  request.set_actor("tokens/7 (ann)");
  EXPECT_EQ(all(kAuditor, request).size(), 2U);
  request.set_actor("tokens/7 (bob)");
  EXPECT_TRUE(all(kAuditor, request).empty());
  request.clear_actor();
  *request.mutable_since() = wire::to_proto(then);
  EXPECT_EQ(actions(all(kAuditor, request)),
            (std::vector<std::string>{"job.submit", "AdminService/DrainWorker"}));
}

TEST_F(AuditListTest, APageTokenIsOfOneListAndOneCaller) {
  for (std::uint64_t i = 1; i <= 6; ++i) submit(i, "demo");
  v1::ListAuditEntriesRequest request;
  request.set_page_size(2);
  v1::ListAuditEntriesResponse first;
  ASSERT_TRUE(list(kAuditor, request, first).ok());
  request.set_page_token(first.next_page_token());
  v1::ListAuditEntriesResponse other;
  EXPECT_EQ(list(kOfDemo, request, other).code, Code::kInvalidArgument);
  v1::ListAuditEntriesRequest filtered = request;
  filtered.set_object("projects/demo");
  EXPECT_EQ(list(kAuditor, filtered, other).code, Code::kInvalidArgument);
  filtered = request;
  filtered.set_page_token("bm9uc2Vuc2U");
  EXPECT_EQ(list(kAuditor, filtered, other).code, Code::kInvalidArgument);
  filtered.clear_page_token();
  filtered.set_page_size(-1);
  EXPECT_EQ(list(kAuditor, filtered, other).code, Code::kInvalidArgument);
}

TEST_F(AuditListTest, ReadingItCommitsNothing) {
  submit(1, "demo");
  const std::uint64_t turns = stored_.store().statistics().turns;
  const std::uint64_t commits = stored_.store().statistics().commits;
  // One a second: ten of each minute are lines of their own.
  for (int i = 0; i < 120; ++i) refuse("");
  EXPECT_EQ(all(kAuditor).size(), 4U + 20);
  EXPECT_EQ(stored_.store().statistics().turns, turns);
  EXPECT_EQ(stored_.store().statistics().commits, commits);
}

}  // namespace
}  // namespace overwinter::runtime
