#include "coordinator/dashboard/action_routes.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "overwinter/v1/checkpoint.pb.h"
#include "overwinter/v1/job.pb.h"
#include "tests/support/stored_checkpoint.h"
#include "tests/unit/coordinator/dashboard/router_fixture.h"

namespace overwinter::dashboard {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// Before the fixture, which fills them as it is made.
struct Actors {
  std::string operator_;
  std::string submitter_;
  std::string other_;  // a viewer of the project `other`
  std::string live_;
  JobId live_id_;
};

class ActionRoutesTest : protected Actors, public RouterFixture {
 protected:
  ActionRoutesTest()
      : RouterFixture([this](TestCluster& cluster) {
          operator_ = add_token(Role::kOperator, "default");
          submitter_ = add_token(Role::kSubmitter, "default");
          other_ = add_token(Role::kViewer, "other");
          const JobId job = cluster.submit(
              a_job().in("default").with_units(40).with_memory(8 * kGiB).with_cap(900'000));
          live_ = "projects/default/jobs/" + cluster.job(job).name;
          live_id_ = job;
        }) {
    start();
  }

  Response act(const std::string& verb, const std::string& body, const std::string& token,
               const std::string& job) {
    Request request = from_page("POST", "/api/v1/" + job + ":" + verb);
    request.authorization = "Bearer " + token;
    request.body = body;
    return ask(request);
  }
  Response act(const std::string& verb, const std::string& body = {}) {
    return act(verb, body, operator_, live_);
  }
  std::string state() {
    return v1::Job::State_Name(read<v1::Job>(ask("/api/v1/" + live_, operator_)).state());
  }
};

TEST_F(ActionRoutesTest, WhatWouldComeOfItIsSaidAndNothingIsDone) {
  const std::string before = state();
  for (const char* verb : {"cancel", "pause", "resume"}) {
    const Response response = act(verb, R"({"validateOnly": true})");
    ASSERT_EQ(response.status, 200U) << verb << response.body;
    const auto json = nlohmann::json::parse(response.body);
    EXPECT_FALSE(json.at("effects").empty()) << verb;
    EXPECT_EQ(json.at("job").at("name"), live_);
    EXPECT_EQ(state(), before) << verb;
  }
  const Response cap =
      act("update", R"({"cap": {"amountMicros": "2000000"}, "validateOnly": true})");
  EXPECT_THAT(cap.body, HasSubstr("Its cap becomes 2.00 USD; it is 0.90 USD now."));
  EXPECT_EQ(read<v1::Job>(ask("/api/v1/" + live_, operator_)).cost().cap().amount_micros(),
            900'000);
}

TEST_F(ActionRoutesTest, ACheckpointIsReadAgain) {
  const std::string content(3000, 'w');
  test::put_checkpoint(*page_.checkpoints, live_id_, {1, 30}, content);
  const auto verify = [&](const std::string& step, const std::string& token) {
    return act("verify", {}, token, live_ + "/checkpoints/" + step);
  };
  const auto good = read<v1::VerifyCheckpointResponse>(verify("30", viewer_));
  EXPECT_TRUE(good.good()) << good.damage();
  EXPECT_EQ(good.size_bytes(), content.size());
  EXPECT_EQ(verify("31", viewer_).status, 404U);
  EXPECT_EQ(verify("last", viewer_).status, 404U);
  EXPECT_EQ(verify("30", other_).status, 404U);

  // A bit of the file turns.
  for (const auto& one :
       std::filesystem::recursive_directory_iterator(stored_.folder() / "artifacts")) {
    if (!one.is_regular_file() || one.file_size() != content.size()) continue;
    std::filesystem::permissions(one.path(), std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::fstream(one.path(), std::ios::in | std::ios::out | std::ios::binary).put('x');
  }
  const auto bad = read<v1::VerifyCheckpointResponse>(verify("30", viewer_));
  EXPECT_FALSE(bad.good());
  EXPECT_THAT(bad.damage(), HasSubstr("model.safetensors"));
  EXPECT_THAT(ask("/api/v1/" + live_ + "/checkpoints", viewer_).body,
              HasSubstr("model.safetensors"));
}

TEST_F(ActionRoutesTest, AJobIsPausedResumedGivenMoreAndCancelled) {
  EXPECT_EQ(act("pause").status, 200U);
  EXPECT_THAT(state(), AnyOf("PAUSED", "STOPPING"));
  EXPECT_EQ(act("update", R"({"cap": {"amountMicros": "2000000", "currencyCode": "USD"}})").status,
            200U);
  EXPECT_EQ(read<v1::Job>(ask("/api/v1/" + live_, operator_)).cost().cap().amount_micros(),
            2'000'000);
  const Response cancelled = act("cancel", "{}");
  ASSERT_EQ(cancelled.status, 200U) << cancelled.body;
  EXPECT_EQ(state(), "CANCELLED");
  const Response late = act("cancel", "{}", operator_, jobs_[2]);
  EXPECT_EQ(late.status, 400U);
  EXPECT_THAT(late.body, HasSubstr("has ended"));
}

TEST_F(ActionRoutesTest, WhatHasLeftTheCoreHasEnded) {
  const Response past = act("pause", {}, operator_, jobs_[0]);
  EXPECT_EQ(past.status, 400U) << past.body;
  EXPECT_THAT(past.body, HasSubstr("has ended"));
  EXPECT_EQ(act("pause", {}, operator_, "projects/default/jobs/none-12345").status, 404U);
  EXPECT_EQ(act("pause", {}, operator_, jobs_[1]).status, 404U) << "another project's";
}

TEST_F(ActionRoutesTest, WhoMayNotActIsToldWhatIsMissing) {
  EXPECT_EQ(act("cancel", {}, viewer_, live_).status, 403U);
  const Response other = act("cancel", {}, submitter_, live_);
  EXPECT_EQ(other.status, 403U);
  EXPECT_THAT(other.body, HasSubstr("submitted by somebody else"));
  EXPECT_EQ(ask("/api/v1/" + live_ + ":cancel", operator_).status, 405U);
  // A session acts from our own page alone.
  Request session = logged_in(operator_, "/api/v1/" + live_ + ":cancel");
  session.method = "POST";
  session.content_type = "application/json";
  session.origin = "https://elsewhere:7601";
  session.fetch_site = "cross-site";
  EXPECT_EQ(ask(session).status, 403U);
  EXPECT_EQ(state().find("CANCELLED"), std::string::npos);
}

TEST_F(ActionRoutesTest, WhatMakesNoSenseIsRefusedWithTheField) {
  const auto field = [&](const Response& response) {
    EXPECT_EQ(response.status, 400U) << response.body;
    return nlohmann::json::parse(response.body).at("field").get<std::string>();
  };
  EXPECT_EQ(field(act("update", "{}")), "cap");
  EXPECT_EQ(field(act("update", R"({"cap": {"amountMicros": "0"}})")), "cap");
  EXPECT_EQ(field(act("update", R"({"cap": {"amountMicros": "1", "currencyCode": "XYZ"}})")),
            "cap.currency_code");
  EXPECT_EQ(field(act("update", R"({"priority": "highest"})")), "priority");
  EXPECT_EQ(field(act("pause", R"({"sooner": true})")), "body");
  EXPECT_EQ(field(act("pause", "[")), "body");
}

}  // namespace
}  // namespace overwinter::dashboard
