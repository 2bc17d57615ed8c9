// Lines and curves through the service, as people and workers call it. Without TLS: a worker is who
// the test says, everything else is real.
#include "coordinator/rpc/log_service.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "tests/support/service_cluster.h"

namespace overwinter::rpc {
namespace {

using namespace core::test;

class Prepared : public test::StoredCluster {
 public:
  Prepared() {
    cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
    admin_token = test::add_token(*this, Role::kAdmin, "", "admin");
    viewer_token = test::add_token(*this, Role::kViewer, "default", "viewer");
    stranger_token = test::add_token(*this, Role::kViewer, "other", "stranger");
    save();
    reopen();
  }
  std::string admin_token, viewer_token, stranger_token;
};

// The service of both ports, with a caller on the workers' side who needs no certificate.
class BothPorts final : public v1::LogService::CallbackService {
 public:
  BothPorts(ServiceContext& context, telemetry::Telemetry& telemetry, CapabilityVerifier verifier)
      : context_(context),
        telemetry_(telemetry),
        verifier_(verifier),
        people_(context, telemetry, std::move(verifier)) {}
  grpc::ServerWriteReactor<v1::ReadLogsResponse>* ReadLogs(
      grpc::CallbackServerContext* call, const v1::ReadLogsRequest* request) override {
    return people_.ReadLogs(call, request);
  }
  grpc::ServerUnaryReactor* ListCurves(grpc::CallbackServerContext* call,
                                       const v1::ListCurvesRequest* request,
                                       v1::ListCurvesResponse* response) override {
    return people_.ListCurves(call, request, response);
  }
  grpc::ServerUnaryReactor* ReadCurve(grpc::CallbackServerContext* call,
                                      const v1::ReadCurveRequest* request,
                                      v1::ReadCurveResponse* response) override {
    return people_.ReadCurve(call, request, response);
  }
  grpc::ServerReadReactor<v1::PushLogsRequest>* PushLogs(grpc::CallbackServerContext*,
                                                         v1::PushLogsResponse* response) override {
    Principal worker;
    worker.kind = PrincipalKind::kWorker;
    worker.id = 5;
    return push_logs(context_, telemetry_, verifier_, worker, response);
  }

 private:
  ServiceContext& context_;
  telemetry::Telemetry& telemetry_;
  const CapabilityVerifier verifier_;
  LogService people_;
};

class LogServiceTest : public testing::Test {
 protected:
  LogServiceTest() {
    services_.serve(nullptr, &service_);
    jobs_ = v1::JobService::NewStub(services_.channel);
    logs_ = v1::LogService::NewStub(services_.channel);
    v1::SubmitJobRequest request;
    request.mutable_spec()->set_project("default");
    request.mutable_spec()->mutable_noop()->set_units(3);
    v1::Job job;
    grpc::ClientContext context;
    prepare(context, stored_.admin_token);
    EXPECT_TRUE(jobs_->SubmitJob(&context, request, &job).ok());
    name_ = job.name();
    for (const auto& view : services_.views.jobs("default"))
      if (name_ == "projects/default/jobs/" + view->name) id_ = view->id;
  }

  static void prepare(grpc::ClientContext& context, const std::string& token) {
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }

  std::string capability(const std::string& holder = "5", std::uint64_t attempt = 1) {
    Capability made;
    made.holder = holder;
    made.project = "default";
    made.job = std::to_string(id_.value());
    made.attempt = attempt;
    made.end = services_.loop.now() + std::chrono::hours(1);
    return services_.signer.sign(made).value();
  }
  v1::PushLogsRequest begin(const std::string& by, AttemptNumber attempt = 1) {
    v1::PushLogsRequest request;
    request.mutable_begin()->set_capability(by);
    request.mutable_begin()->mutable_seat()->set_job(id_.value());
    request.mutable_begin()->mutable_seat()->set_attempt(attempt);
    request.mutable_begin()->mutable_seat()->set_number(1);
    return request;
  }
  static v1::PushLogsRequest lines(const std::vector<std::string>& texts, std::uint32_t rank = 0) {
    v1::PushLogsRequest request;
    for (const std::string& text : texts) {
      v1::PushedLine& line = *request.mutable_logs()->add_lines();
      line.set_rank(rank);
      line.set_stream(v1::LogLine::ERR);
      line.set_text(text);
    }
    return request;
  }
  grpc::Status push(const std::vector<v1::PushLogsRequest>& messages) {
    grpc::ClientContext context;
    prepare(context, "");
    const auto stream = logs_->PushLogs(&context, &pushed_);
    for (const auto& message : messages)
      if (!stream->Write(message)) break;
    stream->WritesDone();
    return stream->Finish();
  }
  // Pushes, and comes back once the lines are written.
  void push_and_wait(const std::vector<v1::PushLogsRequest>& messages) {
    std::promise<void> written;
    bool told = false;
    const auto watch = services_.telemetry->watch({"default", id_}, [&] {
      if (!std::exchange(told, true)) written.set_value();
    });
    const auto status = push(messages);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(written.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  std::vector<v1::LogLine> read(v1::ReadLogsRequest request, const std::string& token,
                                grpc::Status* status = nullptr) {
    grpc::ClientContext context;
    prepare(context, token);
    const auto stream = logs_->ReadLogs(&context, request);
    std::vector<v1::LogLine> out;
    for (v1::ReadLogsResponse response; stream->Read(&response);)
      out.insert(out.end(), response.lines().begin(), response.lines().end());
    const auto ended = stream->Finish();
    if (status != nullptr) *status = ended;
    return out;
  }
  v1::ReadLogsRequest asked() const {
    v1::ReadLogsRequest request;
    request.set_name(name_);
    return request;
  }

  Prepared stored_;
  test::NoWorkers workers_;
  test::ServiceCluster services_{stored_, system_clock(), workers_};
  BothPorts service_{services_.context, *services_.telemetry, services_.signer.verifier()};
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::LogService::Stub> logs_;
  v1::PushLogsResponse pushed_;
  std::string name_;
  JobId id_;
};

TEST_F(LogServiceTest, WhatAWorkerPushesItsProjectReads) {
  push_and_wait({begin(capability()), lines({"one", "two \xFF\xC3 \xC3\xA4"}, 3)});
  EXPECT_EQ(pushed_.lines(), 2u);
  const auto all = read(asked(), stored_.viewer_token);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].text(), "one");
  EXPECT_EQ(all[0].rank(), 3u);
  EXPECT_EQ(all[0].attempt(), 1u);
  EXPECT_EQ(all[0].stream(), v1::LogLine::ERR);
  EXPECT_EQ(all[1].text(), "two \xEF\xBF\xBD\xEF\xBF\xBD \xC3\xA4");
  auto tail = asked();
  tail.set_tail(1);
  EXPECT_EQ(read(tail, stored_.viewer_token).size(), 1u);
  auto other_rank = asked();
  other_rank.set_rank(0);
  EXPECT_TRUE(read(other_rank, stored_.viewer_token).empty());
  auto bad = asked();
  bad.set_tail(1'000'000);
  grpc::Status status;
  (void)read(bad, stored_.viewer_token, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LogServiceTest, NobodyElseReads) {
  push_and_wait({begin(capability()), lines({"secret"})});
  grpc::Status status;
  EXPECT_TRUE(read(asked(), stored_.stranger_token, &status).empty());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(read(asked(), "", &status).empty());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  v1::ListCurvesRequest request;
  request.set_name(name_);
  v1::ListCurvesResponse response;
  grpc::ClientContext context;
  prepare(context, stored_.stranger_token);
  EXPECT_EQ(logs_->ListCurves(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(LogServiceTest, OnlyWithACapabilityOfThatAttempt) {
  const auto refused = [&](const std::vector<v1::PushLogsRequest>& messages) {
    return push(messages).error_code();
  };
  EXPECT_EQ(refused({begin("")}), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(refused({begin(capability("6"))}), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(refused({begin(capability("5", 2))}), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(refused({begin(capability(), 2)}), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(refused({lines({"x"})}), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused({begin(capability()), begin(capability())}),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused({begin(capability()), lines({"x"}, 65'536)}),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused({begin(capability())}), grpc::StatusCode::OK);
}

TEST_F(LogServiceTest, AFollowerGetsLinesAsTheyComeUntilTheJobHasEnded) {
  push_and_wait({begin(capability()), lines({"one"})});
  auto request = asked();
  request.set_follow(true);
  grpc::ClientContext context;
  prepare(context, stored_.viewer_token);
  const auto stream = logs_->ReadLogs(&context, request);
  v1::ReadLogsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.lines(0).text(), "one");
  push_and_wait({begin(capability()), lines({"two"})});
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.lines_size(), 1);
  EXPECT_EQ(response.lines(0).text(), "two");
  // One who comes back with the number goes on behind it.
  auto again = asked();
  again.set_after(response.next());
  EXPECT_TRUE(read(again, stored_.viewer_token).empty());

  v1::CancelJobRequest cancel;
  cancel.set_name(name_);
  v1::Job job;
  grpc::ClientContext acting;
  prepare(acting, stored_.admin_token);
  ASSERT_TRUE(jobs_->CancelJob(&acting, cancel, &job).ok());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(LogServiceTest, RevokingEndsOpenStreams) {
  grpc::ClientContext pushing;
  prepare(pushing, "");
  const auto push_stream = logs_->PushLogs(&pushing, &pushed_);
  ASSERT_TRUE(push_stream->Write(begin(capability())));
  auto request = asked();
  request.set_follow(true);
  grpc::ClientContext following;
  prepare(following, stored_.viewer_token);
  const auto follow_stream = logs_->ReadLogs(&following, request);
  // Both have reached their handlers.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (services_.streams.size() < 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  services_.streams.end_everything(error(Code::kUnauthenticated, "revoked"));
  v1::ReadLogsResponse response;
  EXPECT_FALSE(follow_stream->Read(&response));
  EXPECT_EQ(follow_stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(push_stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(LogServiceTest, CurvesAreListedAndRead) {
  v1::PushLogsRequest points;
  for (std::uint64_t step = 1; step <= 100; ++step) {
    v1::PushedPoint& point = *points.mutable_logs()->add_points();
    point.set_metric("loss");
    point.set_step(step);
    point.set_value(step == 50 ? 9.0 : 1.0);
  }
  push_and_wait({begin(capability()), points});
  v1::ListCurvesRequest list;
  list.set_name(name_);
  v1::ListCurvesResponse curves;
  grpc::ClientContext listing;
  prepare(listing, stored_.viewer_token);
  ASSERT_TRUE(logs_->ListCurves(&listing, list, &curves).ok());
  ASSERT_EQ(curves.curves_size(), 1);
  EXPECT_EQ(curves.curves(0).metric(), "loss");
  EXPECT_EQ(curves.curves(0).points(), 100u);
  EXPECT_EQ(curves.curves(0).last().step(), 100u);
  v1::ReadCurveRequest request;
  request.set_name(name_);
  request.set_metric("loss");
  request.set_points_max(12);
  v1::ReadCurveResponse curve;
  grpc::ClientContext reading;
  prepare(reading, stored_.viewer_token);
  ASSERT_TRUE(logs_->ReadCurve(&reading, request, &curve).ok());
  EXPECT_LE(curve.points_size(), 12);
  double most = 0;
  for (const auto& point : curve.points()) most = std::max(most, point.value());
  EXPECT_EQ(most, 9.0);
  request.set_metric("none");
  grpc::ClientContext none;
  prepare(none, stored_.viewer_token);
  EXPECT_EQ(logs_->ReadCurve(&none, request, &curve).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace overwinter::rpc
