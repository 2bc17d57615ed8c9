// What exec jobs leave, through the service: workers put, people download.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/formats/digest.h"
#include "common/rpc/artifact_client.h"
#include "coordinator/rpc/artifact_service.h"
#include "tests/support/exec_cluster.h"

namespace overwinter::rpc {
namespace {

namespace fs = std::filesystem;
using Stub = v1::ArtifactService::Stub;
using test::ExecCluster;
using Kind = v1::PutOutputsRequest;

constexpr JobId kJob{71};

v1::ExecSpec with_outputs() {
  v1::ExecSpec exec;
  exec.add_outputs("out");
  return exec;
}
std::string digest_text(const std::string& content) {
  formats::BlobDigester digester;
  digester.update(std::as_bytes(std::span(content)));
  return to_hex(digester.finish());
}

class ArtifactArchivesTest : public testing::Test {
 protected:
  v1::PutOutputsRequest begin(const SeatKey& seat, const std::string& content,
                              Kind::Kind kind = Kind::OUTPUTS) {
    v1::PutOutputsRequest request;
    auto& asked = *request.mutable_begin();
    asked.set_capability(cluster_.capability(seat));
    *asked.mutable_seat() = wire::to_proto(seat);
    asked.set_kind(kind);
    asked.set_size_bytes(content.size());
    asked.set_digest(digest_text(content));
    return request;
  }
  Status put(const v1::PutOutputsRequest& first, const std::string& content) {
    grpc::ClientContext context;
    ExecCluster::prepare(context, {});
    v1::PutOutputsResponse response;
    auto writer = stub_->PutOutputs(&context, &response);
    bool open = writer->Write(first);
    for (std::size_t at = 0; open && at < content.size(); at += kMiB) {
      v1::PutOutputsRequest piece;
      piece.set_data(content.substr(at, kMiB));
      open = writer->Write(piece);
    }
    writer->WritesDone();
    return wire::from_grpc(writer->Finish());
  }
  Status put(const SeatKey& seat, const std::string& content, Kind::Kind kind = Kind::OUTPUTS) {
    return put(begin(seat, content, kind), content);
  }
  // The bytes of the file, by the client that people use.
  Result<std::string> download(const std::string& token, const std::string& job,
                               bool workdir = false) {
    ArtifactClientOptions options;
    options.prepare = [token](grpc::ClientContext& context) {
      context.AddMetadata("authorization", "Bearer " + token);
    };
    ArtifactClient client(cluster_.services.channel, options);
    v1::DownloadArtifactRequest request;
    request.set_job(job);
    request.set_workdir(workdir);
    const fs::path file = cluster_.tokens.folder() / "download";
    if (Status status = client.download(request, file); !status.ok()) return fail(status);
    std::ifstream stream(file, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(stream), {}};
  }
  v1::DownloadArtifactResponse first_message() {
    grpc::ClientContext context;
    ExecCluster::prepare(context, cluster_.tokens.viewer);
    v1::DownloadArtifactRequest request;
    request.set_job(name_);
    v1::DownloadArtifactResponse response;
    auto reader = stub_->DownloadArtifact(&context, request);
    EXPECT_TRUE(reader->Read(&response));
    context.TryCancel();
    (void)reader->Finish();
    return response;
  }

  ExecCluster cluster_;
  std::unique_ptr<Stub> stub_ = v1::ArtifactService::NewStub(cluster_.services.channel);
  const SeatKey seat_ = cluster_.put_job(kJob, "default", with_outputs());
  const std::string name_ = ExecCluster::resource("default", kJob);
};

TEST_F(ArtifactArchivesTest, WhatAWorkerPutsIsTheResult) {
  const std::string content(2 * kMiB + 5, 'o');
  const Status status = put(seat_, content);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(download(cluster_.tokens.viewer, name_).value(), content);
  const auto first = first_message();
  EXPECT_EQ(first.file_name(), "train-71.owar");
  EXPECT_EQ(first.size_bytes(), content.size());
  EXPECT_EQ(first.digest(), digest_text(content));
  // Again, as after a lost answer, and another one instead.
  EXPECT_TRUE(put(seat_, content).ok());
  EXPECT_TRUE(put(seat_, "instead").ok());
  EXPECT_EQ(download(cluster_.tokens.viewer, name_).value(), "instead");
}

TEST_F(ArtifactArchivesTest, AnotherProjectIsAsIfItWereNot) {
  ASSERT_TRUE(put(seat_, "content").ok());
  ASSERT_TRUE(put(seat_, "folder", Kind::WORKDIR).ok());
  for (const bool workdir : {false, true}) {
    const auto other = download(cluster_.tokens.stranger, name_, workdir);
    const auto none = download(cluster_.tokens.stranger, "projects/default/jobs/none-1", workdir);
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Code::kNotFound);
    EXPECT_EQ(none.error().code, Code::kNotFound);
  }
}

TEST_F(ArtifactArchivesTest, OnlyTheHolderOfTheSeatPuts) {
  const std::string content = "content";
  auto first = begin(seat_, content);
  first.mutable_begin()->set_capability("");
  EXPECT_EQ(put(first, content).code, Code::kUnauthenticated);
  first.mutable_begin()->set_capability(cluster_.capability(seat_, WorkerId(6)));
  EXPECT_EQ(put(first, content).code, Code::kPermissionDenied);
  first.mutable_begin()->set_capability(cluster_.capability(seat_, test::kHolder, false));
  EXPECT_EQ(put(first, content).code, Code::kPermissionDenied);
  EXPECT_EQ(put({kJob, 1, 2}, content).code, Code::kAborted);
  first = begin(seat_, content);
  first.mutable_begin()->mutable_seat()->set_attempt(2);
  EXPECT_EQ(put(first, content).code, Code::kPermissionDenied);
  (void)cluster_.put_job(kJob, "default", with_outputs(), core::JobState::kRunning, 2);
  EXPECT_EQ(put(seat_, content).code, Code::kAborted);
  EXPECT_EQ(download(cluster_.tokens.viewer, name_).error().code, Code::kNotFound);
}

TEST_F(ArtifactArchivesTest, WhatIsNotAsAnnouncedIsNotStored) {
  const auto refused = [&](const v1::PutOutputsRequest& first, const std::string& content) {
    const Status status = put(first, content);
    EXPECT_EQ(status.code, Code::kInvalidArgument) << status.message;
  };
  refused(begin(seat_, "content"), "consent");
  refused(begin(seat_, "content"), "cont");
  refused(begin(seat_, "content"), "content and more");
  refused(begin(seat_, "content", Kind::KIND_UNSPECIFIED), "content");
  auto first = begin(seat_, "content");
  first.mutable_begin()->set_digest("no digest");
  refused(first, "content");
  first = begin(seat_, "content");
  first.mutable_begin()->set_size_bytes(std::uint64_t{1} << 40);
  refused(first, "content");
  v1::PutOutputsRequest data;
  data.set_data("content");
  refused(data, "");
  EXPECT_EQ(download(cluster_.tokens.viewer, name_).error().code, Code::kNotFound);
  v1::ExecSpec none;
  runtime::ViewChange change;
  auto job = std::make_shared<runtime::JobView>(*cluster_.services.views.job(kJob));
  job->spec = std::make_shared<const std::string>();
  change.jobs.push_back(std::move(job));
  cluster_.services.views.apply(change);
  EXPECT_EQ(put(seat_, "content").code, Code::kFailedPrecondition);  // no exec job
}

TEST_F(ArtifactArchivesTest, AFolderStaysADay) {
  ASSERT_TRUE(put(seat_, "folder", Kind::WORKDIR).ok());
  EXPECT_EQ(download(cluster_.tokens.viewer, name_, true).value(), "folder");
  (void)cluster_.put_job(kJob, "default", with_outputs(), core::JobState::kFailed);
  cluster_.clock.advance(std::chrono::hours(24) - Duration(1));
  EXPECT_EQ(download(cluster_.tokens.viewer, name_, true).value(), "folder");
  cluster_.clock.advance(Duration(1));
  const auto over = download(cluster_.tokens.viewer, name_, true);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().code, Code::kNotFound);
  EXPECT_NE(over.error().message.find("was kept for 24 h"), std::string::npos)
      << over.error().message;
}

// The sentence says why there is nothing, and what to do.
TEST_F(ArtifactArchivesTest, WhatIsMissingSaysWhy) {
  using core::JobState;
  const struct {
    JobState state;
    bool outputs, workdir;
    const char* why;
    const char* what;
  } cases[] = {
      {JobState::kRunning, true, false, "has not ended", "jobs watch"},
      {JobState::kQueued, false, false, "names none", "outputs: [out]"},
      {JobState::kSucceeded, false, false, "names none", "outputs: [out]"},
      {JobState::kSucceeded, true, false, "left nothing in its outputs", "overwinter logs"},
      {JobState::kFailed, true, false, "did not succeed", "--workdir"},
      {JobState::kRunning, true, true, "has not ended", "jobs watch"},
      {JobState::kSucceeded, true, true, "was not kept: it succeeded", "gets its outputs"},
      {JobState::kFailed, true, true, "no worker could hand it in", "jobs explain"},
  };
  for (const auto& one : cases) {
    (void)cluster_.put_job(kJob, "default", one.outputs ? with_outputs() : v1::ExecSpec(),
                           one.state);
    const auto missing = download(cluster_.tokens.viewer, name_, one.workdir);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Code::kNotFound);
    EXPECT_NE(missing.error().message.find(one.why), std::string::npos) << missing.error().message;
    EXPECT_NE(missing.error().hint.find(one.what), std::string::npos) << missing.error().hint;
  }
}

TEST_F(ArtifactArchivesTest, AFlippedBitOfTheStoreIsFoundByTheClient) {
  ASSERT_TRUE(put(seat_, "content of the archive").ok());
  for (const auto& entry :
       fs::recursive_directory_iterator(cluster_.tokens.folder() / "archives")) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3);
    file.put('!');
  }
  const auto damaged = download(cluster_.tokens.viewer, name_);
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code, Code::kInternal);
  EXPECT_FALSE(fs::exists(cluster_.tokens.folder() / "download"));
}

}  // namespace
}  // namespace overwinter::rpc
