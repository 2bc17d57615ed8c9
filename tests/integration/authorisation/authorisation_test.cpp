// The authorisation matrix (TRUST §5). What is expected stands here in full, written from INTERFACE
// §4 and TRUST §1 and §2, not taken from the code's own tables.
#include <google/protobuf/descriptor.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "coordinator/dashboard/router.h"
#include "coordinator/rpc/method_table.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/artifact.pb.h"
#include "overwinter/v1/billing.pb.h"
#include "overwinter/v1/checkpoint.pb.h"
#include "overwinter/v1/job.grpc.pb.h"
#include "overwinter/v1/job.pb.h"
#include "overwinter/v1/log.pb.h"
#include "overwinter/v1/secret.pb.h"
#include "overwinter/v1/worker.pb.h"
#include "tests/integration/authorisation/fixture.h"

namespace overwinter::test {
namespace {

using Names = std::set<std::string>;

const Names kReaders{"viewer", "submitter", "operator", "billing", "admin"};
const Names kSeers{"viewer", "submitter", "operator", "billing", "admin"};
const Names kSubmitters{"submitter", "operator", "admin"};
const Names kOperators{"operator", "admin"};
const Names kMoney{"operator", "billing", "admin"};
const Names kAdmins{"admin"};
const Names kAuditors{"auditor", "admin"};
const Names kEveryRole{"viewer", "submitter", "operator", "billing", "auditor", "admin"};

const std::map<std::string, Names>& people_may() {
  static const std::map<std::string, Names> table{
      {"JobService/SubmitJob", kSubmitters},
      {"JobService/BatchSubmitJobs", kSubmitters},
      {"JobService/PlanJob", kReaders},
      {"JobService/GetJob", kReaders},
      {"JobService/ListJobs", kReaders},
      {"JobService/WatchJobs", kReaders},
      {"JobService/ExplainJob", kReaders},
      {"JobService/PauseJob", kSubmitters},
      {"JobService/ResumeJob", kSubmitters},
      {"JobService/CancelJob", kSubmitters},
      {"JobService/UpdateJob", kSubmitters},
      {"AdminService/GetClusterStatus", kSeers},
      {"AdminService/ListWorkers", kSeers},
      {"AdminService/GetWorker", kSeers},
      {"AdminService/DrainWorker", kOperators},
      {"AdminService/ResumeWorker", kOperators},
      {"AdminService/RemoveWorker", kOperators},
      {"AdminService/DiagnoseCluster", kSeers},
      {"AdminService/ProbeWorkers", kOperators},
      {"AdminService/CreateProject", kAdmins},
      {"AdminService/ListProjects", kReaders},
      {"AdminService/CreateToken", kAdmins},
      {"AdminService/CreateJoinFile", kAdmins},
      {"AdminService/ListTokens", kAdmins},
      {"AdminService/RevokeToken", kAdmins},
      {"AdminService/TestNotification", kAdmins},
      {"AdminService/CreateBackup", kAdmins},
      {"AdminService/ListAuditEntries", kAuditors},
      {"BillingService/ListJobCosts", kReaders},
      {"BillingService/ListMachineCosts", kMoney},
      {"BillingService/GetPriceBook", kMoney},
      {"BillingService/SetPriceBook", kAdmins},
      {"ArtifactService/CheckArtifacts", kSubmitters},
      {"ArtifactService/UploadArtifact", kSubmitters},
      {"ArtifactService/DownloadArtifact", kReaders},
      {"LogService/ReadLogs", kReaders},
      {"LogService/ListCurves", kReaders},
      {"LogService/ReadCurve", kReaders},
      {"CheckpointService/ListCheckpoints", kReaders},
      {"CheckpointService/GetCheckpoint", kReaders},
      {"CheckpointService/DownloadCheckpoint", kReaders},
      {"CheckpointService/VerifyCheckpoint", kReaders},
      {"SecretService/SetSecret", kSubmitters},
      {"SecretService/ListSecrets", kSubmitters},
      {"SecretService/DeleteSecret", kSubmitters},
  };
  return table;
}

const std::map<std::string, Names>& workers_may() {
  static const std::map<std::string, Names> table{
      {"LogService/PushLogs", {"worker"}},
      {"WorkerService/Join", {"join"}},
      {"WorkerService/Renew", {"worker"}},
      {"WorkerService/Connect", {"worker"}},
      {"ArtifactService/ReadBlock", {"worker"}},
      {"ArtifactService/ReadBlob", {"worker"}},
      {"ArtifactService/PutTile", {"worker"}},
      {"ArtifactService/PutOutputs", {"worker"}},
      {"SecretService/ReadSecrets", {"worker"}},
      {"CheckpointService/BeginCheckpoint", {"worker"}},
      {"CheckpointService/PutCheckpointFile", {"worker"}},
      {"CheckpointService/CommitCheckpoint", {"worker"}},
      {"CheckpointService/GetLastCheckpoint", {"worker"}},
      {"CheckpointService/ReadCheckpointFile", {"worker"}},
  };
  return table;
}

// "JobService/GetJob", … of every service there is.
std::vector<std::string> every_method() {
  std::vector<std::string> out;
  for (const auto* file :
       {v1::Job::descriptor()->file(), v1::Worker::descriptor()->file(),
        v1::PriceBook::descriptor()->file(), v1::ReadBlockRequest::descriptor()->file(),
        v1::LogLine::descriptor()->file(), v1::Checkpoint::descriptor()->file(),
        v1::Secret::descriptor()->file(), v1::Hello::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        out.push_back(service->name() + "/" + service->method(m)->name());
      }
    }
  }
  return out;
}

bool refused(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
         status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
}

class AuthorisationTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { fixture = new Fixture(); }
  static void TearDownTestSuite() {
    delete fixture;
    fixture = nullptr;
  }
  static Fixture* fixture;
};
Fixture* AuthorisationTest::fixture = nullptr;

// A method that somebody adds to a service and forgets here or there is found.
TEST_F(AuthorisationTest, EveryMethodStandsInATable) {
  ASSERT_GT(every_method().size(), 30U);
  for (const auto& method : every_method()) {
    const std::string path = "/overwinter.v1." + method;
    const bool people = rpc::find_rule(rpc::people_methods(), path).has_value();
    const bool workers = rpc::find_rule(rpc::worker_methods(), path).has_value();
    EXPECT_NE(people, workers) << path << " belongs to exactly one port";
    const bool expected = people_may().contains(method) || workers_may().contains(method) ||
                          method == "AdminService/ExchangeLoginCode";
    EXPECT_TRUE(expected) << method << " has no row in this test";
  }
}

// What is wrong with the answer of the people's port to `name`; empty: nothing.
std::string wrong_for_a_person(const std::string& method, const std::string& name,
                               const grpc::Status& status) {
  const grpc::StatusCode code = status.error_code();
  bool right = false;
  if (method == "AdminService/ExchangeLoginCode") {
    // Open, and an empty code is no code.
    right = code == grpc::StatusCode::UNAUTHENTICATED &&
            status.error_message().find("login code") != std::string::npos;
  } else if (!kEveryRole.contains(name)) {
    right = code == grpc::StatusCode::UNAUTHENTICATED;
  } else if (!people_may().contains(method)) {
    right = code == grpc::StatusCode::UNIMPLEMENTED;
  } else if (people_may().at(method).contains(name)) {
    right = !refused(status) && code != grpc::StatusCode::UNIMPLEMENTED;
  } else {
    right = code == grpc::StatusCode::PERMISSION_DENIED;
  }
  return right
             ? ""
             : method + " by " + name + ": " + std::to_string(code) + " " + status.error_message();
}

TEST_F(AuthorisationTest, PeoplesPort) {
  for (const auto& method : every_method()) {
    const std::string path = "/overwinter.v1." + method;
    for (const auto& [name, credential] : fixture->people()) {
      EXPECT_EQ(wrong_for_a_person(method, name, Fixture::call(credential, path)), "");
    }
  }
}

// A server of which one method was left unguarded: GetJob answers whoever asks.
class Unguarded final : public v1::JobService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context, const v1::GetJobRequest*,
                                   v1::Job*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

TEST_F(AuthorisationTest, APlantedUnguardedMethodIsFound) {
  Unguarded service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server);
  const Credential nobody{
      "no token",
      {},
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials())};
  const grpc::Status status = Fixture::call(nobody, "/overwinter.v1.JobService/GetJob");
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_NE(wrong_for_a_person("JobService/GetJob", nobody.name, status), "");
  EXPECT_NE(wrong_for_a_person("JobService/GetJob", "auditor", status), "");
  EXPECT_EQ(wrong_for_a_person("JobService/GetJob", "viewer", status), "");
}

TEST_F(AuthorisationTest, HealthAndReflectionNeedSomeToken) {
  for (const std::string path :
       {"/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    for (const auto& [name, credential] : fixture->people()) {
      const grpc::Status status = Fixture::call(credential, path);
      EXPECT_EQ(refused(status), !kEveryRole.contains(name)) << path << " by " << name;
    }
  }
}

TEST_F(AuthorisationTest, WorkersPort) {
  for (const auto& method : every_method()) {
    for (const auto& [name, credential] : fixture->workers()) {
      const grpc::Status status = Fixture::call(credential, "/overwinter.v1." + method);
      const std::string what = method + " by " + name + ": " + std::to_string(status.error_code()) +
                               " " + status.error_message();
      if (name == "withdrawn join") {
        // It shakes hands, so that the machine's owner reads why, and may do nothing.
        EXPECT_TRUE(status.error_code() == grpc::StatusCode::UNIMPLEMENTED || refused(status))
            << what;
      } else if (name != "worker" && name != "join") {
        // The handshake refuses: nothing is learned.
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << what;
      } else if (!workers_may().contains(method)) {
        EXPECT_TRUE(status.error_code() == grpc::StatusCode::UNIMPLEMENTED || refused(status))
            << what;
      } else if (!workers_may().at(method).contains(name)) {
        EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << what;
      } else if (method.starts_with("ArtifactService/") || method.starts_with("LogService/") ||
                 method.starts_with("CheckpointService/") || method.starts_with("SecretService/")) {
        // By capability: an empty one is refused by the handler, in its own words.
        EXPECT_EQ(status.error_message().find("certificate"), std::string::npos) << what;
      } else {
        EXPECT_FALSE(refused(status)) << what;
      }
    }
  }
}

TEST_F(AuthorisationTest, AnotherProjectIsAsIfItWereNot) {
  const auto made = fixture->make_token("viewer", "default", 0);
  EXPECT_FALSE(made.empty());
  EXPECT_EQ(fixture->get("/api/v1/projects/default/jobs", made), 200);
  EXPECT_EQ(fixture->get("/api/v1/projects/secret/jobs", made), 404);
  EXPECT_EQ(fixture->get("/api/v1/projects/default/jobs/none-12345", made), 404);
}

TEST_F(AuthorisationTest, EveryRoute) {
  const std::map<std::string, Names> may{
      {"/metrics", {"viewer", "operator", "admin"}},
      {"/api/v1/summary", kSeers},
      {"/api/v1/spend", kSeers},
      {"/api/v1/workers", kSeers},
      {"/api/v1/projects/{}/jobs", kReaders},
      {"/api/v1/projects/{}/jobs/{}", kReaders},
      {"/api/v1/projects/{}/jobs/{}:explain", kReaders},
      {"/api/v1/projects/{}/jobs/{}/timeline", kReaders},
      {"/api/v1/projects/{}/jobs/{}/series", kReaders},
      {"/api/v1/projects/{}/jobs/{}/checkpoints", kReaders},
      {"/api/v1/projects/{}/jobs/{}/logs", kReaders},
      {"/api/v1/projects/{}/jobs/{}/logs:search", kReaders},
      {"/api/v1/workers/{}", kSeers},
      {"/api/v1/session", kEveryRole},
      {"/api/v1/audit", kAuditors},
      {"/api/v1/events", kReaders},
      {"/api/v1/batch", kEveryRole},  // what it reads: ABatchMayNoMoreThanItsReads
      {"/api/v1/projects/{}/jobs/{}:pause", kSubmitters},
      {"/api/v1/projects/{}/jobs/{}:resume", kSubmitters},
      {"/api/v1/projects/{}/jobs/{}:cancel", kSubmitters},
      {"/api/v1/projects/{}/jobs/{}:update", kSubmitters},
      {"/api/v1/projects/{}/jobs/{}/checkpoints/{}:verify", kReaders},
  };
  for (const auto& route : dashboard::routes()) {
    std::string path(route.pattern);
    for (auto at = path.find("{}"); at != std::string::npos; at = path.find("{}")) {
      path.replace(at, 2, "default");
    }
    for (const auto& [name, credential] : fixture->people()) {
      const int status = fixture->get(path, credential.token);
      const std::string what = path + " by " + name + ": " + std::to_string(status);
      if (route.open) {
        const int wanted = route.pattern == "/assets/{}" ? 404 : 200;
        EXPECT_EQ(status, route.method == "GET" ? wanted : 405) << what;
      } else if (!kEveryRole.contains(name)) {
        EXPECT_EQ(status, 401) << what;
      } else if (may.at(std::string(route.pattern)).contains(name)) {
        // A search without words: let in, and told so. What changes something is asked by POST.
        EXPECT_TRUE(route.method == "GET" ? status == 200 || status == 404 || status == 400
                                          : status == 405)
            << what;
      } else {
        EXPECT_EQ(status, 403) << what;
      }
    }
  }
  EXPECT_EQ(fixture->get("/nothing/here", {}), 401);
  EXPECT_EQ(fixture->get("/nothing/here", fixture->person("admin").token), 404);
}

TEST_F(AuthorisationTest, ATokenEndsWithItsTime) {
  const auto token = fixture->make_token("viewer", "default", 1);
  // Asked again until it has ended: the deadline is the test's, not a pause.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  int status = fixture->get("/api/v1/workers", token);
  while (status == 200 && std::chrono::steady_clock::now() < deadline) {
    status = fixture->get("/api/v1/workers", token);
  }
  EXPECT_EQ(status, 401);
}

}  // namespace
}  // namespace overwinter::test
