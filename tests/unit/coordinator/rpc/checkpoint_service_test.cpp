// CheckpointService for people, over a coordinator with a real core and store.
#include "coordinator/rpc/checkpoint_service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "common/formats/digest.h"
#include "common/rpc/checkpoint_client.h"
#include "coordinator/runtime/job_queries.h"
#include "tests/support/service_cluster.h"

namespace overwinter::rpc {
namespace {

namespace fs = std::filesystem;
using namespace core::test;
using Stub = v1::CheckpointService::Stub;

class Prepared : public test::StoredCluster {
 public:
  Prepared() {
    cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
    viewer_token = test::add_token(*this, Role::kViewer, "default", "viewer");
    other_token = test::add_token(*this, Role::kAdmin, "other", "other");
    auditor_token = test::add_token(*this, Role::kAuditor, "", "auditor");
    job = cluster.submit(a_job());
    name = "projects/default/jobs/" + cluster.job(job).name;
    old_job = cluster.submit(a_job());
    cluster.act(old_job, core::JobAction::kCancel);
    old_name = "projects/default/jobs/" + cluster.job(old_job).name;
    save();
    const core::Fact fact = core::JobForgotten{old_job};
    commit(cluster.now, {&fact, 1});
    reopen();
  }
  JobId job;
  JobId old_job;
  std::string name;
  std::string old_name;
  std::string viewer_token;
  std::string other_token;
  std::string auditor_token;
};

class CheckpointServiceTest : public testing::Test {
 protected:
  CheckpointServiceTest() {
    services_.serve();
    stub_ = v1::CheckpointService::NewStub(services_.channel);
  }

  void put(JobId job, CheckpointKey key,
           std::vector<std::pair<std::string, CheckpointFileKind>> files = {
               {"model.safetensors", CheckpointFileKind::kWeights},
               {"rank-0/adam", CheckpointFileKind::kOptimizer},
               {"empty", CheckpointFileKind::kState}}) {
    auto& store = *services_.checkpoints;
    CheckpointManifest manifest;
    manifest.job = job;
    manifest.attempt = key.attempt;
    manifest.step = key.step;
    manifest.world_size = 2;
    manifest.loss = 1.25;
    ASSERT_TRUE(store.begin(job, key, 16 * kMiB, Time(Duration(5))).ok());
    for (const auto& [name, kind] : files) {
      const std::string content = content_of(name);
      formats::BlobDigester digester;
      digester.update(std::as_bytes(std::span(content)));
      manifest.files.push_back({name, content.size(), digester.finish(), kind});
      auto upload = store.begin_file(job, key, manifest.files.back().digest, content.size(), {});
      for (std::size_t at = 0; at < content.size(); at += kMiB)
        ASSERT_TRUE((*upload)
                        ->write(std::as_bytes(std::span(content))
                                    .subspan(at, std::min<std::size_t>(kMiB, content.size() - at)),
                                {})
                        .ok());
      ASSERT_TRUE((*upload)->finish().ok());
    }
    ASSERT_TRUE(store.commit(manifest, 10, Time(Duration(1000))).has_value());
  }
  static std::string content_of(const std::string& name) {
    return name == "empty" ? "" : std::string(name.starts_with("model") ? 2'500'000 : 7, name[0]);
  }
  template <class Request, class Response>
  Status call(const std::string& token,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, Response& response) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const grpc::Status status = ((*stub_).*method)(&context, request, &response);
    return {static_cast<Code>(status.error_code()), status.error_message(), {}, {}};
  }
  Result<v1::Checkpoint> get(const std::string& token, const std::string& name) {
    v1::GetCheckpointRequest request;
    request.set_name(name);
    v1::Checkpoint response;
    Status status = call(token, &Stub::GetCheckpoint, request, response);
    if (!status.ok()) return fail(std::move(status));
    return response;
  }

  Prepared stored_;
  test::NoWorkers workers_;
  test::ServiceCluster services_{stored_, system_clock(), workers_};
  std::unique_ptr<Stub> stub_;
};

TEST_F(CheckpointServiceTest, GetsByStepAndTheLatest) {
  put(stored_.job, {1, 50});
  put(stored_.job, {1, 100});
  put(stored_.job, {2, 50});
  const auto latest = get(stored_.viewer_token, stored_.name + "/checkpoints/latest");
  ASSERT_TRUE(latest.has_value()) << latest.error().message;
  EXPECT_EQ(latest->name(), stored_.name + "/checkpoints/50");
  EXPECT_EQ(latest->attempt(), 2U);
  EXPECT_EQ(latest->files_size(), 3);
  EXPECT_EQ(latest->size_bytes(), 2'500'007U);
  EXPECT_EQ(latest->loss(), 1.25);
  EXPECT_EQ(get(stored_.viewer_token, stored_.name + "/checkpoints/100")->attempt(), 1U);
  for (const char* wrong : {"/checkpoints/70", "/checkpoints/18446744073709551616", "/checkpoints/",
                            "/checkpoints/-1", ""}) {
    const auto missing = get(stored_.viewer_token, stored_.name + wrong);
    ASSERT_FALSE(missing.has_value()) << wrong;
    EXPECT_TRUE(missing.error().code == Code::kNotFound ||
                missing.error().code == Code::kInvalidArgument);
  }
}

TEST_F(CheckpointServiceTest, ListsByPages) {
  for (std::uint64_t step = 1; step <= 5; ++step) put(stored_.job, {1, step * 10});
  v1::ListCheckpointsRequest request;
  request.set_parent(stored_.name);
  request.set_page_size(2);
  std::vector<std::uint64_t> steps;
  do {
    v1::ListCheckpointsResponse page;
    const Status status = call(stored_.viewer_token, &Stub::ListCheckpoints, request, page);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_LE(page.checkpoints_size(), 2);
    for (const auto& one : page.checkpoints()) {
      steps.push_back(one.step());
      EXPECT_EQ(one.files_size(), 0);
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{50, 40, 30, 20, 10}));
}

TEST_F(CheckpointServiceTest, AnotherProjectKnowsNothingOfThem) {
  put(stored_.job, {1, 50});
  const auto other = get(stored_.other_token, stored_.name + "/checkpoints/50");
  const auto none = get(stored_.other_token, "projects/default/jobs/none-12345/checkpoints/50");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, Code::kNotFound);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_EQ(get(stored_.auditor_token, stored_.name + "/checkpoints/50").error().code,
            Code::kPermissionDenied);
  v1::VerifyCheckpointRequest request;
  request.set_name(stored_.name + "/checkpoints/50");
  v1::VerifyCheckpointResponse response;
  EXPECT_EQ(call(stored_.other_token, &Stub::VerifyCheckpoint, request, response).code,
            Code::kNotFound);
}

TEST_F(CheckpointServiceTest, AnEndedJobHasThemStill) {
  put(stored_.old_job, {1, 7});
  const auto found = get(stored_.viewer_token, stored_.old_name + "/checkpoints/latest");
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->step(), 7U);
}

TEST_F(CheckpointServiceTest, DownloadsItsFiles) {
  put(stored_.job, {1, 50});
  ArtifactClientOptions options;
  options.prepare = [this](grpc::ClientContext& context) {
    context.AddMetadata("authorization", "Bearer " + stored_.viewer_token);
  };
  CheckpointClient client(services_.channel, options);
  const fs::path folder = stored_.folder() / "download";
  v1::DownloadCheckpointRequest request;
  request.set_name(stored_.name + "/checkpoints/50");
  std::uint64_t last = 0;
  const auto files = client.download(request, folder, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 2'500'007U);
    last = done;
  });
  ASSERT_TRUE(files.has_value()) << files.error().message;
  EXPECT_EQ(files->size(), 3U);
  EXPECT_EQ(last, 2'500'007U);
  for (const CheckpointFile& file : *files) {
    std::ifstream stream(folder / file.name, std::ios::binary);
    ASSERT_TRUE(stream.is_open()) << file.name;
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(content, content_of(file.name)) << file.name;
  }
  request.add_kinds(v1::CheckpointFile::OPTIMIZER);
  const auto one = client.download(request, folder / "one");
  ASSERT_TRUE(one.has_value()) << one.error().message;
  EXPECT_EQ(one->size(), 1U);
  request.clear_kinds();
  request.add_kinds(v1::CheckpointFile::USER_FILE);
  EXPECT_EQ(client.download(request, folder / "none").error().code, Code::kNotFound);
}

TEST_F(CheckpointServiceTest, VerifiesAndNamesTheBadFile) {
  put(stored_.job, {1, 50});
  v1::VerifyCheckpointRequest request;
  request.set_name(stored_.name + "/checkpoints/latest");
  v1::VerifyCheckpointResponse response;
  ASSERT_TRUE(call(stored_.viewer_token, &Stub::VerifyCheckpoint, request, response).ok());
  EXPECT_TRUE(response.good()) << response.damage();
  EXPECT_EQ(response.size_bytes(), 2'500'007U);
  const auto manifest = services_.checkpoints->get(stored_.job, {})->manifest;
  const fs::path file = stored_.folder() / "checkpoints" / std::to_string(stored_.job.value()) /
                        "1-50" / to_hex(manifest->find("rank-0/adam")->digest);
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(3);
  stream.put('!');
  stream.close();
  ASSERT_TRUE(call(stored_.viewer_token, &Stub::VerifyCheckpoint, request, response).ok());
  EXPECT_FALSE(response.good());
  EXPECT_NE(response.damage().find("rank-0/adam"), std::string::npos);
  const auto seen = get(stored_.viewer_token, stored_.name + "/checkpoints/latest");
  EXPECT_EQ(seen->damage(), response.damage());
}

}  // namespace
}  // namespace overwinter::rpc
