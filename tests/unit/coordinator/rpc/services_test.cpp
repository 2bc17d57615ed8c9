// The services for people, called as any gRPC client would, over a coordinator with a real core and
// store. Without TLS: the handlers resolve the caller from the call's own token.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/service_cluster.h"

namespace overwinter::rpc {
namespace {

using namespace core::test;

// What the coordinator starts on: two projects, tokens, a job that the core has forgotten.
class Prepared : public test::StoredCluster {
 public:
  Prepared() {
    cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
    admin_token = test::add_token(*this, Role::kAdmin, "", "admin");
    viewer_token = test::add_token(*this, Role::kViewer, "default", "viewer");
    const JobId job = cluster.submit(a_job());
    cluster.act(job, core::JobAction::kCancel);
    old_job = "projects/default/jobs/" + cluster.job(job).name;
    save();
    const core::Fact fact = core::JobForgotten{job};
    commit(cluster.now, {&fact, 1});
    reopen();
  }
  std::string admin_token;
  std::string viewer_token;
  std::string old_job;
};

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() {
    services_.serve();
    job_stub_ = v1::JobService::NewStub(services_.channel);
    admin_stub_ = v1::AdminService::NewStub(services_.channel);
  }

  static void prepare(grpc::ClientContext& context, const std::string& token) {
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  // Calls with the method of a stub.
  template <class Stub, class Request, class Response>
  grpc::Status call(const std::string& token, Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    prepare(context, token);
    return (stub.*method)(&context, request, &response);
  }
  std::string submit(const std::string& project) {
    v1::SubmitJobRequest request;
    request.mutable_spec()->set_project(project);
    request.mutable_spec()->mutable_noop()->set_units(3);
    v1::Job job;
    const auto status =
        call(stored_.admin_token, *job_stub_, &v1::JobService::Stub::SubmitJob, request, job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job.name();
  }
  v1::ListJobsResponse list(const std::string& token, const std::string& parent) {
    v1::ListJobsRequest request;
    request.set_parent(parent);
    v1::ListJobsResponse response;
    const auto status = call(token, *job_stub_, &v1::JobService::Stub::ListJobs, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  grpc::Status update(const v1::UpdateJobRequest& request, v1::Job& job) {
    return call(stored_.admin_token, *job_stub_, &v1::JobService::Stub::UpdateJob, request, job);
  }
  template <class Detail>
  static std::optional<Detail> detail(const grpc::Status& status) {
    google::rpc::Status details;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    Detail out;
    for (const auto& any : details.details()) {
      if (any.UnpackTo(&out)) return out;
    }
    return std::nullopt;
  }
  static std::string field_of(const grpc::Status& status) {
    const auto request = detail<google::rpc::BadRequest>(status);
    return request ? request->field_violations(0).field() : "";
  }

  Prepared stored_;
  test::NoWorkers workers_;
  test::ServiceCluster services_{stored_, system_clock(), workers_};
  std::unique_ptr<v1::JobService::Stub> job_stub_;
  std::unique_ptr<v1::AdminService::Stub> admin_stub_;
};

// A watch of one caller, read one message at a time.
class Watcher {
 public:
  Watcher(v1::JobService::Stub& stub, const std::string& token, const std::string& parent,
          std::uint64_t from = 0, const std::string& name = {}) {
    context_.AddMetadata("authorization", "Bearer " + token);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::WatchJobsRequest request;
    request.set_parent(parent);
    request.set_from_event(from);
    request.set_name(name);
    reader_ = stub.WatchJobs(&context_, request);
  }
  ~Watcher() { context_.TryCancel(); }
  // The next job's name; empty at the end.
  std::string next() {
    v1::WatchJobsResponse message;
    if (!reader_->Read(&message)) return {};
    event_ = message.event();
    return message.job().name();
  }
  // The next name of another job than before.
  std::string next_other_than(const std::set<std::string>& known) {
    for (;;) {
      std::string name = next();
      if (name.empty() || !known.contains(name)) return name;
    }
  }
  [[nodiscard]] std::uint64_t event() const { return event_; }
  grpc::Status end() {
    while (!next().empty()) {
    }
    return reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchJobsResponse>> reader_;
  std::uint64_t event_ = 0;
};

TEST_F(ServicesTest, AWatchOfAllProjectsShowsWhatTheCallerMaySee) {
  const std::string mine = submit("default");
  const std::string theirs = submit("other");
  Watcher all(*job_stub_, stored_.admin_token, "projects/-");
  EXPECT_EQ((std::set<std::string>{all.next(), all.next()}), (std::set<std::string>{mine, theirs}));
  Watcher own(*job_stub_, stored_.viewer_token, "projects/-");
  EXPECT_EQ(own.next(), mine);
  const std::string theirs_too = submit("other");
  const std::string mine_too = submit("default");
  EXPECT_EQ(all.next_other_than({mine, theirs}), theirs_too);
  EXPECT_EQ(own.next_other_than({mine}), mine_too) << "not the other tenant's";
  // It goes on from where it was.
  Watcher again(*job_stub_, stored_.viewer_token, "projects/-", own.event());
  const std::string last = submit("default");
  EXPECT_EQ(again.next_other_than({mine, mine_too}), last);
}

TEST_F(ServicesTest, AnotherTenantsProjectCannotBeWatched) {
  Watcher watcher(*job_stub_, stored_.viewer_token, "projects/other");
  const grpc::Status hidden = watcher.end();
  Watcher nothing(*job_stub_, stored_.viewer_token, "projects/none");
  const grpc::Status none = nothing.end();
  EXPECT_EQ(hidden.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(none.error_code(), grpc::StatusCode::NOT_FOUND);
  // A number of all projects means nothing in one.
  Watcher other_number(*job_stub_, stored_.admin_token, "projects/default",
                       services_.views.next_event(""));
  EXPECT_EQ(other_number.end().error_code(), grpc::StatusCode::OUT_OF_RANGE);
}

TEST_F(ServicesTest, WhoListsAndWatchesFromThereMissesNothing) {
  submit("default");
  const auto listed = list(stored_.viewer_token, "projects/-");
  EXPECT_EQ(listed.jobs_size(), 2) << "the forgotten one too";
  const std::string next = submit("default");
  Watcher watcher(*job_stub_, stored_.viewer_token, "projects/-", listed.event());
  std::set<std::string> known;
  for (const auto& job : listed.jobs()) known.insert(job.name());
  EXPECT_EQ(watcher.next_other_than(known), next);
}

TEST_F(ServicesTest, AJobOfThePastIsReadAndNotActedOn) {
  v1::GetJobRequest get;
  get.set_name(stored_.old_job);
  v1::Job job;
  EXPECT_TRUE(call(stored_.viewer_token, *job_stub_, &v1::JobService::Stub::GetJob, get, job).ok());
  EXPECT_EQ(job.state(), v1::Job::CANCELLED);
  v1::ExplainJobRequest explain;
  explain.set_name(stored_.old_job);
  v1::ExplainJobResponse why;
  EXPECT_TRUE(
      call(stored_.viewer_token, *job_stub_, &v1::JobService::Stub::ExplainJob, explain, why).ok());
  Watcher watcher(*job_stub_, stored_.viewer_token, "projects/default", 0, stored_.old_job);
  EXPECT_EQ(watcher.next(), stored_.old_job);
  EXPECT_TRUE(watcher.end().ok());
  v1::ResumeJobRequest resume;
  resume.set_name(stored_.old_job);
  const auto status =
      call(stored_.admin_token, *job_stub_, &v1::JobService::Stub::ResumeJob, resume, job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("CANCELLED"), std::string::npos) << status.error_message();
  get.set_name("projects/default/jobs/none");
  const auto none = call(stored_.viewer_token, *job_stub_, &v1::JobService::Stub::GetJob, get, job);
  EXPECT_EQ(none.error_code(), grpc::StatusCode::NOT_FOUND);
  const auto resource = detail<google::rpc::ResourceInfo>(none);
  ASSERT_TRUE(resource);
  EXPECT_EQ(resource->resource_name(), get.name());
  EXPECT_EQ(resource->resource_type(), "overwinter.v1/Job");
  ASSERT_TRUE(detail<google::rpc::ErrorInfo>(none));
}

TEST_F(ServicesTest, AnUpdateChangesWhatItsMaskNames) {
  v1::UpdateJobRequest request;
  request.set_name(submit("default"));
  request.mutable_cap()->set_amount_micros(5'000'000);
  request.set_priority("high");
  request.mutable_update_mask()->add_paths("priority");
  v1::Job job;
  auto status = update(request, job);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(job.priority(), "high");
  EXPECT_FALSE(job.cost().has_cap());
  request.mutable_update_mask()->set_paths(0, "spec.name");
  EXPECT_EQ(field_of(update(request, job)), "update_mask");
  request.clear_update_mask();
  request.set_priority("urgent");
  EXPECT_EQ(field_of(update(request, job)), "priority");
  request.clear_priority();
  status = update(request, job);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(job.cost().cap().amount_micros(), 5'000'000);
  EXPECT_EQ(job.priority(), "high");
  // What a newer client would ask for.
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(99, 1);
  status = update(request, job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("99"), std::string::npos) << status.error_message();
}

TEST_F(ServicesTest, EveryListHasPages) {
  v1::ListTokensRequest request;
  request.set_page_size(1);
  std::set<std::string> seen;
  std::size_t pages = 0;
  do {
    v1::ListTokensResponse response;
    const auto status = call(stored_.admin_token, *admin_stub_, &v1::AdminService::Stub::ListTokens,
                             request, response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_LE(response.tokens_size(), 1);
    for (const auto& token : response.tokens()) {
      seen.insert(token.role() + std::to_string(token.id()));
    }
    request.set_page_token(response.next_page_token());
    ASSERT_LT(++pages, 10U);
  } while (!request.page_token().empty());
  EXPECT_EQ(seen.size(), 3U) << "two tokens and a join file";
  v1::ListProjectsRequest projects;
  projects.set_page_size(1);
  v1::ListProjectsResponse first;
  const auto list_projects = &v1::AdminService::Stub::ListProjects;
  ASSERT_TRUE(call(stored_.admin_token, *admin_stub_, list_projects, projects, first).ok());
  EXPECT_EQ(first.projects(0).name(), "projects/default");
  projects.set_page_token(first.next_page_token());
  v1::ListProjectsResponse second;
  ASSERT_TRUE(call(stored_.admin_token, *admin_stub_, list_projects, projects, second).ok());
  EXPECT_EQ(second.projects(0).name(), "projects/other");
  EXPECT_TRUE(second.next_page_token().empty());
  projects.set_page_token("AAAA");
  EXPECT_EQ(field_of(call(stored_.admin_token, *admin_stub_, list_projects, projects, second)),
            "page_token");
  projects.clear_page_token();
  projects.set_page_size(-1);
  EXPECT_EQ(field_of(call(stored_.admin_token, *admin_stub_, list_projects, projects, second)),
            "page_size");
}

}  // namespace
}  // namespace overwinter::rpc
