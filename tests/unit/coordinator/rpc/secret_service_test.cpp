// Secrets through the service, as people and workers call it.
#include "coordinator/rpc/secret_service.h"

#include <gtest/gtest.h>

#include "common/wire/status_grpc.h"
#include "tests/support/exec_cluster.h"

namespace overwinter::rpc {
namespace {

using Stub = v1::SecretService::Stub;
using test::ExecCluster;

constexpr JobId kJob{71};
const std::string kCanary = "canary-3f9b2a";

v1::ExecSpec naming(const std::vector<std::string>& secrets) {
  v1::ExecSpec exec;
  for (const std::string& name : secrets) exec.add_secrets(name);
  return exec;
}

class SecretServiceTest : public testing::Test {
 protected:
  Status set(const std::string& token, const std::string& name, const std::string& value,
             const std::string& project = {}) {
    v1::SetSecretRequest request;
    request.set_project(project);
    request.set_name(name);
    request.set_value(value);
    return ExecCluster::call(token, *stub_, &Stub::SetSecret, request, set_);
  }
  Result<std::vector<std::string>> list(const std::string& token, const std::string& project = {}) {
    v1::ListSecretsRequest request;
    request.set_project(project);
    v1::ListSecretsResponse response;
    Status status = ExecCluster::call(token, *stub_, &Stub::ListSecrets, request, response);
    if (!status.ok()) return fail(std::move(status));
    EXPECT_EQ(response.SerializeAsString().find(kCanary), std::string::npos);
    std::vector<std::string> names;
    for (const v1::Secret& secret : response.secrets()) names.push_back(secret.name());
    return names;
  }
  Status remove(const std::string& token, const std::string& name,
                const std::string& project = {}) {
    v1::DeleteSecretRequest request;
    request.set_project(project);
    request.set_name(name);
    v1::DeleteSecretResponse response;
    return ExecCluster::call(token, *stub_, &Stub::DeleteSecret, request, response);
  }
  Status read(const SeatKey& seat, const std::string& capability) {
    v1::ReadSecretsRequest request;
    request.set_capability(capability);
    *request.mutable_seat() = wire::to_proto(seat);
    return ExecCluster::call({}, *stub_, &Stub::ReadSecrets, request, read_);
  }

  ExecCluster cluster_;
  std::unique_ptr<Stub> stub_ = v1::SecretService::NewStub(cluster_.services.channel);
  v1::Secret set_;
  v1::ReadSecretsResponse read_;
};

TEST_F(SecretServiceTest, AreSetListedAndDeleted) {
  const std::string& token = cluster_.tokens.submitter;
  ASSERT_TRUE(set(token, "HF_TOKEN", kCanary).ok());
  EXPECT_EQ(set_.name(), "projects/default/secrets/HF_TOKEN");
  EXPECT_EQ(wire::from_proto(set_.set_time()), cluster_.services.loop.now());
  ASSERT_TRUE(set(token, "A", "value", "default").ok());
  EXPECT_EQ(list(token).value(), (std::vector<std::string>{"projects/default/secrets/A",
                                                           "projects/default/secrets/HF_TOKEN"}));
  ASSERT_TRUE(remove(token, "A").ok());
  EXPECT_EQ(remove(token, "A").code, Code::kNotFound);
  EXPECT_EQ(list(token)->size(), 1U);
}

TEST_F(SecretServiceTest, TheAuditHasThemWithoutTheirValues) {
  const std::string& token = cluster_.tokens.submitter;
  ASSERT_TRUE(set(token, "KEY", kCanary).ok());
  ASSERT_TRUE(set(token, "KEY", kCanary + "2").ok());
  ASSERT_TRUE(remove(token, "KEY").ok());
  EXPECT_EQ(remove(token, "KEY").code, Code::kNotFound);
  const auto lines = cluster_.services.audit->read_decisions(
      UINT64_MAX, 10, [](const telemetry::AuditItem&) { return true; });
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].event.action, "secret.delete");
  EXPECT_EQ(lines[0].event.after, "deleted");
  EXPECT_EQ(lines[1].event.action, "secret.set");
  EXPECT_TRUE(lines[1].event.before.starts_with("set at "));
  EXPECT_EQ(lines[2].event.before, "");
  for (const auto& line : lines) {
    EXPECT_EQ(line.event.object, "projects/default/secrets/KEY");
    EXPECT_EQ(line.event.project, "default");
    EXPECT_TRUE(line.event.actor.starts_with("tokens/"));
    EXPECT_EQ(line.event.reason.find(kCanary), std::string::npos);
  }
}

TEST_F(SecretServiceTest, WhoMayNotSubmitKnowsNothingOfThem) {
  ASSERT_TRUE(set(cluster_.tokens.submitter, "KEY", kCanary).ok());
  for (const std::string& token : {cluster_.tokens.viewer, std::string("ow_forged")}) {
    for (const Status& status : {set(token, "KEY", "other"), remove(token, "KEY"),
                                 list(token) ? Status::success() : list(token).error()}) {
      EXPECT_TRUE(status.code == Code::kPermissionDenied || status.code == Code::kUnauthenticated)
          << status.message;
    }
  }
  EXPECT_EQ(cluster_.services.secrets->read("default", "KEY").value(), kCanary);
}

TEST_F(SecretServiceTest, AnotherProjectIsAsIfItWereNot) {
  ASSERT_TRUE(set(cluster_.tokens.submitter, "KEY", kCanary).ok());
  const std::string& stranger = cluster_.tokens.stranger;
  const auto same = [&](const Status& other, const Status& none) {
    EXPECT_EQ(other.code, Code::kNotFound);
    EXPECT_EQ(none.code, Code::kNotFound);
    std::string text = none.message;
    const std::size_t at = text.find("nowhere");
    ASSERT_NE(at, std::string::npos) << text;
    EXPECT_EQ(other.message, text.replace(at, 7, "default"));
  };
  same(set(stranger, "KEY", "x", "default"), set(stranger, "KEY", "x", "nowhere"));
  same(list(stranger, "default").error(), list(stranger, "nowhere").error());
  same(remove(stranger, "KEY", "default"), remove(stranger, "KEY", "nowhere"));
  EXPECT_TRUE(list(stranger)->empty());  // its own
  EXPECT_EQ(cluster_.services.secrets->read("default", "KEY").value(), kCanary);
}

TEST_F(SecretServiceTest, ARefusalSaysNothingOfTheValue) {
  const std::string& token = cluster_.tokens.submitter;
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"1BAD", kCanary},
                                    {"A", ""},
                                    {"A", kCanary + std::string(1, '\0')},
                                    {"A", kCanary + std::string(65'536, 'x')}}) {
    const Status status = set(token, name, value);
    EXPECT_EQ(status.code, Code::kInvalidArgument) << status.message;
    EXPECT_EQ((status.message + status.hint).find(kCanary), std::string::npos);
    EXPECT_FALSE(status.field.empty());
  }
}

TEST_F(SecretServiceTest, AHeldSeatReadsThoseThatItsJobNames) {
  for (const char* name : {"ONE", "TWO", "NOT_NAMED"})
    ASSERT_TRUE(set(cluster_.tokens.submitter, name, std::string("value of ") + name).ok());
  const SeatKey seat = cluster_.put_job(kJob, "default", naming({"TWO", "ONE"}));
  const Status status = read(seat, cluster_.capability(seat));
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(read_.values_size(), 2);
  EXPECT_EQ(read_.values().at("ONE"), "value of ONE");
  EXPECT_EQ(read_.values().at("TWO"), "value of TWO");
  const SeatKey without = cluster_.put_job(JobId(72), "default", naming({}));
  ASSERT_TRUE(read(without, cluster_.capability(without)).ok());
  EXPECT_EQ(read_.values_size(), 0);
}

TEST_F(SecretServiceTest, OnlyTheHolderOfThatAttemptsSeatReads) {
  ASSERT_TRUE(set(cluster_.tokens.submitter, "KEY", kCanary).ok());
  const SeatKey seat = cluster_.put_job(kJob, "default", naming({"KEY"}));
  const std::string good = cluster_.capability(seat);
  ASSERT_TRUE(read(seat, good).ok());
  EXPECT_EQ(read(seat, "").code, Code::kUnauthenticated);
  EXPECT_EQ(read(seat, cluster_.capability(seat, WorkerId(6))).code, Code::kPermissionDenied);
  const SeatKey later{kJob, 2, 1};
  EXPECT_EQ(read(seat, cluster_.capability(later)).code, Code::kPermissionDenied);
  EXPECT_EQ(read({JobId(72), 1, 1}, good).code, Code::kPermissionDenied);
  EXPECT_EQ(read({kJob, 1, 2}, good).code, Code::kAborted);  // a seat that is not its own
  EXPECT_EQ(read({kJob, 0, 1}, good).code, Code::kInvalidArgument);
  // The next attempt begins elsewhere: the capability of the old one is good, its seat is not.
  (void)cluster_.put_job(kJob, "default", naming({"KEY"}), core::JobState::kRunning, 2);
  EXPECT_EQ(read(seat, good).code, Code::kAborted);
  cluster_.clock.advance(std::chrono::hours(2));
  EXPECT_EQ(read(later, cluster_.capability(later)).code, Code::kOk);
  EXPECT_EQ(read(later, good).code, Code::kPermissionDenied);
}

TEST_F(SecretServiceTest, ReadsOfItsOwnProjectAlone) {
  ASSERT_TRUE(set(cluster_.tokens.stranger, "KEY", kCanary).ok());
  const SeatKey seat = cluster_.put_job(kJob, "default", naming({"KEY"}));
  const Status status = read(seat, cluster_.capability(seat));
  EXPECT_EQ(status.code, Code::kNotFound);
  EXPECT_EQ(status.message, "project default has no secret KEY");
  EXPECT_EQ(status.hint, "overwinter secrets set KEY --project default");
}

TEST_F(SecretServiceTest, AllOfAJobsTogetherHaveABound) {
  std::vector<std::string> names;
  for (int i = 0; i < 17; ++i) {
    names.push_back("S" + std::to_string(i));
    ASSERT_TRUE(set(cluster_.tokens.submitter, names.back(), std::string(65'536, 'x')).ok());
  }
  const SeatKey seat = cluster_.put_job(kJob, "default", naming(names));
  EXPECT_EQ(read(seat, cluster_.capability(seat)).code, Code::kFailedPrecondition);
  names.resize(15);
  (void)cluster_.put_job(kJob, "default", naming(names));
  EXPECT_TRUE(read(seat, cluster_.capability(seat)).ok());
}

}  // namespace
}  // namespace overwinter::rpc
