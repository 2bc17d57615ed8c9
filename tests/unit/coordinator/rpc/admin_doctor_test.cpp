// What `overwinter doctor` asks, as any gRPC client would; the test answers for the workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>

#include "common/security/file_io.h"
#include "tests/support/service_cluster.h"

namespace overwinter::rpc {
namespace {

using namespace core::test;
using testing::HasSubstr;

// Two machines that serve all projects, and the tokens of three people.
class Prepared : public test::StoredCluster {
 public:
  Prepared() {
    cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
    admin_token = test::add_token(*this, Role::kAdmin, "", "admin");
    operator_token = test::add_token(*this, Role::kOperator, "default", "operator");
    viewer_token = test::add_token(*this, Role::kViewer, "default", "viewer");
    cluster.joined(a_worker().named("w1").on_host("m1").on_network("10.0.0.0/24"));
    cluster.joined(a_worker().named("w2").on_host("m2").on_network("10.0.0.0/24"));
    save();
    reopen();
  }
  std::string admin_token, operator_token, viewer_token;
};

class AdminDoctorTest : public testing::Test {
 protected:
  AdminDoctorTest() {
    services_.serve();
    stub_ = v1::AdminService::NewStub(services_.channel);
  }

  template <class Request, class Response>
  grpc::Status call(const std::string& token,
                    grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub_.get()->*method)(&context, request, &response);
  }
  grpc::Status probe(const std::string& token, bool pairs, v1::ProbeWorkersResponse& response) {
    v1::ProbeWorkersRequest request;
    request.set_pairs(pairs);
    return call(token, &v1::AdminService::Stub::ProbeWorkers, request, response);
  }
  // The answer of a worker where all is well.
  static v1::WorkerMessage answer_to(const v1::CoordinatorMessage& question) {
    v1::WorkerMessage answer;
    if (question.has_describe_host()) {
      answer.mutable_host_described()->set_run(question.describe_host().run());
      answer.mutable_host_described()->mutable_host()->set_shared_memory_total_bytes(77);
    } else {
      v1::PeerProbed& probed = *answer.mutable_peer_probed();
      probed.set_run(question.probe_peer().run());
      probed.set_worker(question.probe_peer().worker());
      probed.mutable_link()->set_reachable(true);
      probed.mutable_link()->set_message(question.probe_peer().peer_address());
    }
    return answer;
  }
  // From a thread of its own, as a worker's stream does.
  void everybody_answers() {
    services_.asks = [this](WorkerId worker, Incarnation, v1::CoordinatorMessage question) {
      answers_.push_back(std::async(
          std::launch::async,
          [this, worker, answer = answer_to(question)] { services_.probes.take(worker, answer); }));
      return true;
    };
  }

  Prepared stored_;
  test::NoWorkers workers_;
  test::ServiceCluster services_{stored_, system_clock(), workers_};
  std::unique_ptr<v1::AdminService::Stub> stub_;
  std::vector<std::future<void>> answers_;  // asked for under the run's lock, one at a time
};

TEST_F(AdminDoctorTest, WhoAsksLearnsOfItselfAndOfTheCoordinator) {
  v1::ClusterDiagnosis known;
  const auto status = call(stored_.viewer_token, &v1::AdminService::Stub::DiagnoseCluster,
                           v1::DiagnoseClusterRequest(), known);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(known.role(), "viewer");
  EXPECT_EQ(known.project(), "default");
  EXPECT_FALSE(known.has_token_expire_time());
  EXPECT_GT(known.disk_total_bytes(), 0U);
  EXPECT_LE(known.disk_free_bytes(), known.disk_total_bytes());
  EXPECT_GT(known.issuer_expire_time().seconds(), known.wall_time().seconds());
}

TEST_F(AdminDoctorTest, WhatIsOfAllProjectsIsToldToTheirTokensAlone) {
  ASSERT_TRUE(write_file_atomically(stored_.folder() / "notify.yaml", "hooks: 7\n").ok());
  const auto asked_by = [this](const std::string& token) {
    v1::ClusterDiagnosis known;
    EXPECT_TRUE(
        call(token, &v1::AdminService::Stub::DiagnoseCluster, v1::DiagnoseClusterRequest(), known)
            .ok());
    return known;
  };
  const v1::ClusterDiagnosis all = asked_by(stored_.admin_token);
  EXPECT_GT(all.descriptors_open(), 3U);
  EXPECT_GE(all.descriptors_limit(), all.descriptors_open());
  EXPECT_GT(all.store_turns(), 0U);
  EXPECT_GT(all.store_checked_turns(), 0U);
  EXPECT_EQ(all.store_problem(), "");
  EXPECT_THAT(all.notify_problem(), HasSubstr("notify.yaml: "));
  for (const std::string& token : {stored_.operator_token, stored_.viewer_token}) {
    const v1::ClusterDiagnosis little = asked_by(token);
    EXPECT_EQ(little.descriptors_open() + little.descriptors_limit(), 0U);
    EXPECT_EQ(little.store_turns() + little.store_checked_turns(), 0U);
    EXPECT_EQ(little.notify_problem(), "");
  }
  std::filesystem::remove(stored_.folder() / "notify.yaml");
  EXPECT_EQ(asked_by(stored_.admin_token).notify_problem(), "");
}

TEST_F(AdminDoctorTest, AStoreThatIsDamagedIsSaid) {
  // As a disk does: in place, under the coordinator's feet.
  for (const char* name : {"log.db", "log.db-wal"}) {
    std::fstream file(stored_.folder() / name, std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    for (std::size_t at = 0; (at = bytes.find("operator", at)) != std::string::npos; ++at) {
      file.seekp(static_cast<std::streamoff>(at));
      file.put('0');
    }
  }
  v1::ClusterDiagnosis known;
  ASSERT_TRUE(call(stored_.admin_token, &v1::AdminService::Stub::DiagnoseCluster,
                   v1::DiagnoseClusterRequest(), known)
                  .ok());
  EXPECT_THAT(known.store_problem(), HasSubstr("its content is not what was written"));
}

TEST_F(AdminDoctorTest, AnswersOfWorkersAreGathered) {
  everybody_answers();
  v1::ProbeWorkersResponse response;
  const auto status = probe(stored_.admin_token, true, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.hosts_size(), 2);
  for (const auto& host : response.hosts()) {
    EXPECT_EQ(host.facts().shared_memory_total_bytes(), 77U) << host.message();
  }
  ASSERT_EQ(response.pairs_size(), 2);
  for (const auto& pair : response.pairs()) {
    EXPECT_TRUE(pair.link().reachable());
    EXPECT_TRUE(pair.same_network());
    EXPECT_EQ(pair.link().message(), pair.peer_address());
  }
}

TEST_F(AdminDoctorTest, AnswersOfAnotherRunAreLetGo) {
  services_.asks = [this](WorkerId worker, Incarnation, v1::CoordinatorMessage question) {
    v1::WorkerMessage answer = answer_to(question);
    answer.mutable_host_described()->set_run(question.describe_host().run() + 1);
    answers_.push_back(std::async(
        std::launch::async, [this, worker, answer] { services_.probes.take(worker, answer); }));
    return true;
  };
  v1::ProbeWorkersRequest request;
  request.mutable_within()->set_seconds(1);
  v1::ProbeWorkersResponse response;
  ASSERT_TRUE(
      call(stored_.admin_token, &v1::AdminService::Stub::ProbeWorkers, request, response).ok());
  EXPECT_FALSE(response.hosts(0).has_facts());
  EXPECT_THAT(response.hosts(0).message(), HasSubstr("no answer"));
}

TEST_F(AdminDoctorTest, NobodyIsConnected) {
  v1::ProbeWorkersResponse response;
  ASSERT_TRUE(probe(stored_.admin_token, true, response).ok());
  ASSERT_EQ(response.hosts_size(), 2);
  EXPECT_THAT(response.hosts(0).message(), HasSubstr("not connected"));
}

TEST_F(AdminDoctorTest, OneReportAtATime) {
  std::promise<void> asked;
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  services_.asks = [&, first = true](WorkerId worker, Incarnation,
                                     v1::CoordinatorMessage question) mutable {
    answers_.push_back(std::async(std::launch::async, [this, gate, worker, question] {
      gate.wait();
      services_.probes.take(worker, answer_to(question));
    }));
    if (std::exchange(first, false)) asked.set_value();
    return true;
  };
  v1::ProbeWorkersResponse one;
  auto running =
      std::async(std::launch::async, [&] { return probe(stored_.admin_token, false, one); });
  asked.get_future().wait();
  v1::ProbeWorkersResponse two;
  EXPECT_EQ(probe(stored_.admin_token, false, two).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  go_on.set_value();
  EXPECT_TRUE(running.get().ok());
  EXPECT_EQ(one.hosts_size(), 2);
  everybody_answers();
  EXPECT_TRUE(probe(stored_.admin_token, false, two).ok());
}

TEST_F(AdminDoctorTest, WhoMay) {
  v1::ProbeWorkersResponse response;
  EXPECT_EQ(probe(stored_.viewer_token, false, response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  // Every machine serves more than the project of this operator.
  const auto status = probe(stored_.operator_token, false, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("project default"));
  v1::ProbeWorkersRequest request;
  request.mutable_within()->set_seconds(3600);
  EXPECT_EQ(call(stored_.admin_token, &v1::AdminService::Stub::ProbeWorkers, request, response)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminDoctorTest, StoppingEndsTheRun) {
  std::promise<void> asked;
  services_.asks = [&, first = true](WorkerId, Incarnation, const v1::CoordinatorMessage&) mutable {
    if (std::exchange(first, false)) asked.set_value();
    return true;
  };
  v1::ProbeWorkersResponse response;
  auto running =
      std::async(std::launch::async, [&] { return probe(stored_.admin_token, false, response); });
  asked.get_future().wait();
  services_.probes.stop();
  EXPECT_EQ(running.get().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace overwinter::rpc
