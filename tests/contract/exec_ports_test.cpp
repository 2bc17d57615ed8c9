// What a worker reads and hands in for an exec job, over gRPC, against the coordinator's services
// with the real stores, which are away, refuse and restart.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "client/sdk/unpacked_folder.h"
#include "common/formats/archive.h"
#include "common/rpc/artifact_client.h"
#include "tests/support/exec_cluster.h"
#include "worker/rpc/output_sender.h"
#include "worker/rpc/secret_reader.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;
using test::ExecCluster;

constexpr JobId kJob{71};
const Retrying kQuick{Duration(1), Duration(2), 1};

class ExecPortsTest : public testing::Test {
 protected:
  ExecPortsTest() {
    exec_.add_outputs("out");
    exec_.add_secrets("HF_TOKEN");
    seat_ = cluster_.put_job(kJob, "default", exec_);
    fs::create_directories(folder() / "out" / "deep");
    write(folder() / "out" / "model.bin", std::string(3 * kMiB + 1, 'w'));
    write(folder() / "out" / "deep" / "log", "line");
    pack();
  }
  fs::path folder() const { return cluster_.tokens.folder() / "job"; }
  fs::path archive() const { return cluster_.tokens.folder() / "outputs.owar"; }
  static void write(const fs::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
  }
  static std::string read(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void pack() const {
    std::ofstream stream(archive(), std::ios::binary);
    const auto listing = formats::list_folder(folder() / "out");
    const Status status = formats::write_archive(*listing, [&](std::span<const std::byte> bytes) {
      stream.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
      return Status::success();
    });
    ASSERT_TRUE(status.ok()) << status.message;
  }
  std::function<std::string()> capability() {
    return [this] {
      ++capabilities_;
      return cluster_.capability(seat_);
    };
  }
  Status put(JobOutputs::Kind kind = JobOutputs::Kind::kOutputs, std::stop_token stop = {}) {
    return sender_.put({seat_, capability(), kind, archive(), [this](const Status&) { ++full_; }},
                       std::move(stop));
  }
  Status download(bool workdir, const fs::path& to) {
    ArtifactClientOptions options;
    options.prepare = [this](grpc::ClientContext& context) {
      context.AddMetadata("authorization", "Bearer " + cluster_.tokens.viewer);
    };
    ArtifactClient client(cluster_.services.channel, options);
    return client::unpack_beside(to, [&](const fs::path& file) {
      v1::DownloadArtifactRequest request;
      request.set_job(ExecCluster::resource("default", kJob));
      request.set_workdir(workdir);
      return client.download(request, file);
    });
  }
  void set_secret(const std::string& value) {
    ASSERT_TRUE(cluster_.services.secrets->set("default", "HF_TOKEN", value, Time{}).ok());
  }
  // Each of these for one call, in turn, then the truth.
  static std::function<Status()> in_turn(std::vector<Code> codes) {
    return [codes = std::move(codes), at = std::size_t{0}]() mutable {
      return at < codes.size() ? error(codes[at++], "not now") : Status::success();
    };
  }

  ExecCluster cluster_;
  v1::ExecSpec exec_;
  SeatKey seat_;
  std::atomic<int> capabilities_ = 0;
  int full_ = 0;
  std::atomic<int> not_connected_ = 0;  // so often there is no connection
  OutputSender sender_{[this]() -> std::shared_ptr<ArtifactClient> {
                         if (not_connected_-- > 0) return nullptr;
                         return std::make_shared<ArtifactClient>(cluster_.services.channel);
                       },
                       kQuick};
  SecretReader reader_{[this]() -> std::shared_ptr<grpc::Channel> {
                         if (not_connected_-- > 0) return nullptr;
                         return cluster_.services.channel;
                       },
                       kQuick};
};

TEST_F(ExecPortsTest, WhatAJobLeavesComesToItsOwner) {
  ASSERT_TRUE(put().ok());
  const fs::path to = cluster_.tokens.folder() / "mine";
  const Status status = download(false, to);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(read(to / "model.bin"), read(folder() / "out" / "model.bin"));
  EXPECT_EQ(read(to / "deep" / "log"), "line");
  EXPECT_EQ(download(true, cluster_.tokens.folder() / "left").code, Code::kNotFound);
  ASSERT_TRUE(put(JobOutputs::Kind::kWorkdir).ok());
  EXPECT_TRUE(download(true, cluster_.tokens.folder() / "left").ok());
}

TEST_F(ExecPortsTest, OutputsOutlastACoordinatorThatIsAwayOrFull) {
  not_connected_ = 2;
  cluster_.artifacts.refusals.say(
      in_turn({Code::kUnavailable, Code::kResourceExhausted, Code::kUnavailable,
               Code::kResourceExhausted, Code::kPermissionDenied}));
  const Status status = put();
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(full_, 1) << "told once";
  EXPECT_EQ(cluster_.artifacts.refusals.calls(), 6);
  EXPECT_EQ(capabilities_, 6);  // asked for anew at each try: it may have been renewed
  EXPECT_TRUE(download(false, cluster_.tokens.folder() / "mine").ok());
}

TEST_F(ExecPortsTest, WhatIsRefusedForGoodEndsAtOnce) {
  for (const Code code : {Code::kAborted, Code::kInvalidArgument, Code::kFailedPrecondition}) {
    const int before = cluster_.artifacts.refusals.calls();
    cluster_.artifacts.refusals.say([code] { return error(code, "no"); });
    EXPECT_EQ(put().code, code);
    EXPECT_EQ(cluster_.artifacts.refusals.calls(), before + 1);
  }
  cluster_.artifacts.refusals.say({});
  (void)cluster_.put_job(kJob, "default", exec_, core::JobState::kRunning, 2);
  EXPECT_EQ(put().code, Code::kAborted);
  fs::remove(archive());
  EXPECT_EQ(put().code, Code::kNotFound);
}

TEST_F(ExecPortsTest, AStopEndsBoth) {
  std::stop_source stop;
  cluster_.artifacts.refusals.say([&] {
    stop.request_stop();
    return error(Code::kResourceExhausted, "full");
  });
  EXPECT_EQ(put(JobOutputs::Kind::kOutputs, stop.get_token()).code, Code::kCancelled);
  cluster_.secrets.refusals.say([&] {
    stop.request_stop();
    return error(Code::kUnavailable, "away");
  });
  stop = std::stop_source();
  EXPECT_EQ(reader_.read(seat_, capability(), stop.get_token()).error().code, Code::kCancelled);
}

TEST_F(ExecPortsTest, SecretsAreReadWhenTheCoordinatorIsBack) {
  const std::string value("\xff a value\nof two lines");
  set_secret(value);
  not_connected_ = 2;
  cluster_.secrets.refusals.say(in_turn({Code::kUnavailable, Code::kDeadlineExceeded}));
  const auto read = reader_.read(seat_, capability(), {});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, (std::map<std::string, std::string>{{"HF_TOKEN", value}}));
  EXPECT_EQ(cluster_.secrets.refusals.calls(), 3);
  EXPECT_EQ(capabilities_, 3);
}

TEST_F(ExecPortsTest, AMissingSecretEndsAtOnceAndSaysHowItIsSet) {
  const auto missing = reader_.read(seat_, capability(), {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "project default has no secret HF_TOKEN");
  EXPECT_EQ(missing.error().hint, "overwinter secrets set HF_TOKEN --project default");
  EXPECT_EQ(cluster_.secrets.refusals.calls(), 1);
}

}  // namespace
}  // namespace overwinter::worker
