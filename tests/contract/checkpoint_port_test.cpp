// What a worker does with checkpoints, over gRPC, against the real store behind a service that
// restarts, is away, forgets to answer or sends other bytes. (Who may call is the coordinator's
// matter: tests/integration/authorisation.)
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <thread>

#include "common/base/mutex.h"
#include "common/formats/digest.h"
#include "common/wire/checkpoint.h"
#include "common/wire/convert.h"
#include "common/wire/status_grpc.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "overwinter/v1/checkpoint.grpc.pb.h"
#include "tests/support/fault_files.h"
#include "worker/rpc/checkpoint_transfer.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;
using artifacts::CheckpointStore;

constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);

grpc::Status answer(const Status& status) {
  return wire::to_grpc(status, std::nullopt, {});
}

CheckpointKey key_of(const v1::SeatKey& seat, std::uint64_t step) {
  return {seat.attempt(), step};
}

class StoreService final : public v1::CheckpointService::Service {
 public:
  StoreService() { restart(); }

  // The coordinator's process ends and another begins.
  void restart() {
    const MutexLock lock(mutex_);
    store_.reset();
    artifacts::CheckpointStoreConfig config;
    config.free_bytes_min = 0;
    store_ = CheckpointStore::open(files, "/data", config).value();
  }
  std::shared_ptr<CheckpointStore> store() {
    const MutexLock lock(mutex_);
    return store_;
  }

  // Called with the number of the call, from 1, before and after its work: OK, or what the worker
  // is told instead of the truth.
  std::function<grpc::Status(int)> before_put = [](int) { return grpc::Status::OK; };
  std::function<grpc::Status(int)> after_commit = [](int) { return grpc::Status::OK; };
  std::function<void(std::string&)> change = [](std::string&) {};
  test::FaultFiles files;
  std::atomic<int> puts = 0;
  std::atomic<int> commits = 0;
  std::atomic<int> reads = 0;
  std::atomic<std::size_t> largest = 0;

  grpc::Status BeginCheckpoint(grpc::ServerContext*, const v1::BeginCheckpointRequest* request,
                               v1::BeginCheckpointResponse*) override {
    EXPECT_EQ(request->capability(), "capability");
    return answer(store()->begin(JobId(request->seat().job()),
                                 key_of(request->seat(), request->step()), request->total_bytes(),
                                 kNow));
  }
  grpc::Status PutCheckpointFile(grpc::ServerContext*,
                                 grpc::ServerReader<v1::PutCheckpointFileRequest>* reader,
                                 v1::PutCheckpointFileResponse*) override {
    v1::PutCheckpointFileRequest message;
    if (!reader->Read(&message) || !message.has_begin()) return {grpc::StatusCode::ABORTED, "odd"};
    const v1::PutCheckpointFileRequest::Begin begin = message.begin();
    if (grpc::Status status = before_put(++puts); !status.ok()) return status;
    const auto owner = store();
    auto upload = owner->begin_file(JobId(begin.seat().job()), key_of(begin.seat(), begin.step()),
                                    *parse_digest(begin.digest()), begin.size_bytes(), kNow);
    if (!upload && upload.error().code == Code::kAlreadyExists) return grpc::Status::OK;
    if (!upload) return answer(upload.error());
    while (reader->Read(&message)) {
      largest = std::max(largest.load(), message.data().size());
      const Status status = (*upload)->write(std::as_bytes(std::span(message.data())), kNow);
      if (!status.ok()) return answer(status);
    }
    return answer((*upload)->finish());
  }
  grpc::Status CommitCheckpoint(grpc::ServerContext*, const v1::CommitCheckpointRequest* request,
                                v1::Checkpoint* response) override {
    auto manifest = wire::from_commit(*request, *wire::from_proto(request->seat()));
    if (!manifest) return answer(manifest.error());
    const auto stored = store()->commit(std::move(*manifest), 3, kNow);
    if (!stored) return answer(stored.error());
    *response = wire::to_proto(*stored, "projects/p/jobs/j/checkpoints/1");
    return after_commit(++commits);
  }
  grpc::Status GetLastCheckpoint(grpc::ServerContext*, const v1::GetLastCheckpointRequest* request,
                                 v1::GetLastCheckpointResponse* response) override {
    const auto last = store()->last_good(JobId(request->seat().job()));
    for (const auto& skipped : last->skipped) response->add_skipped()->set_reason(skipped.why);
    if (last->manifest) *response->mutable_checkpoint() = wire::to_proto(*last->manifest, "");
    return grpc::Status::OK;
  }
  grpc::Status ReadCheckpointFile(
      grpc::ServerContext*, const v1::ReadCheckpointFileRequest* request,
      grpc::ServerWriter<v1::ReadCheckpointFileResponse>* writer) override {
    ++reads;
    const auto blob = store()->open_file(JobId(request->seat().job()),
                                         {request->attempt(), request->step()}, request->name());
    if (!blob) return answer(blob.error());
    std::string content(blob->size_bytes, '\0');
    EXPECT_TRUE(blob->file->read_at(0, std::as_writable_bytes(std::span(content))).ok());
    change(content);
    v1::ReadCheckpointFileResponse message;
    for (std::size_t at = 0; at < content.size(); at += kMiB) {
      message.set_data(content.substr(at, kMiB));
      writer->Write(message);
    }
    return grpc::Status::OK;
  }

 private:
  Mutex mutex_;
  std::shared_ptr<CheckpointStore> store_ OW_GUARDED_BY(mutex_);
};

class CheckpointPortTest : public testing::Test {
 protected:
  CheckpointPortTest() {
    std::string name = (fs::temp_directory_path() / "ow_checkpoint_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    client_ = std::make_shared<CheckpointClient>(server_->InProcessChannel({}));
  }
  ~CheckpointPortTest() override {
    server_->Shutdown();
    fs::remove_all(folder_);
  }

  static std::string content_of(const std::string& name, std::uint64_t step) {
    std::mt19937_64 random(step * 100 + name.size());
    std::string text(name == "model.safetensors" ? 2'600'000 : name.size(), '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  }
  // A checkpoint whose files lie in folder_/out.
  CheckpointManifest made(std::uint64_t step) {
    CheckpointManifest manifest;
    manifest.job = JobId(7);
    manifest.attempt = 1;
    manifest.step = step;
    manifest.world_size = 2;
    manifest.loss = 0.5;
    for (const std::string name : {"model.safetensors", "rank-0/adam", "state"}) {
      const std::string content = content_of(name, step);
      formats::BlobDigester digester;
      digester.update(std::as_bytes(std::span(content)));
      manifest.files.push_back(
          {name, content.size(), digester.finish(), CheckpointFileKind::kWeights});
      fs::create_directories((out() / name).parent_path());
      std::ofstream(out() / name, std::ios::binary) << content;
    }
    return manifest;
  }
  [[nodiscard]] fs::path out() const { return folder_ / "out"; }
  [[nodiscard]] fs::path in() const { return folder_ / "in"; }
  void expect_restored(std::uint64_t step) {
    const auto restored = transfer_.restore(access_, in(), {});
    ASSERT_TRUE(restored.has_value()) << restored.error().message;
    ASSERT_TRUE(restored->manifest.has_value());
    EXPECT_EQ(restored->manifest->step, step);
    EXPECT_EQ(restored->manifest->loss, 0.5);
    for (const CheckpointFile& file : restored->manifest->files) {
      std::ifstream stream(in() / file.name, std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(stream), {}};
      EXPECT_EQ(content, content_of(file.name, step)) << file.name;
    }
  }

  StoreService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<CheckpointClient> client_;
  fs::path folder_;
  std::atomic<int> away_ = 0;  // so many times there is no connection
  CheckpointTransfer transfer_{
      {[this] { return away_-- > 0 ? nullptr : client_; }, Duration(1), Duration(4)}};
  const CheckpointAccess access_{{JobId(7), 1, 1}, [] { return std::string("capability"); }};
};

TEST_F(CheckpointPortTest, WhatIsStoredIsRestored) {
  const auto none = transfer_.restore(access_, in(), {});
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->manifest.has_value());
  for (std::uint64_t step : {1U, 2U})
    ASSERT_TRUE(transfer_.store(access_, made(step), out(), {}).ok());
  EXPECT_LE(service_.largest, kMiB);
  expect_restored(2);
  expect_restored(2);  // over what lies there
  // Once more, since nobody heard that it was done: nothing is sent.
  const int puts = service_.puts;
  EXPECT_TRUE(transfer_.store(access_, made(2), out(), {}).ok());
  EXPECT_EQ(service_.puts, puts);
  EXPECT_EQ(transfer_.store(access_, made(0), out(), {}).code, Code::kFailedPrecondition);
}

TEST_F(CheckpointPortTest, AnAwayCoordinatorIsWaitedFor) {
  away_ = 5;
  service_.before_put = [](int call) {
    return call % 2 == 1 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "away") : grpc::Status::OK;
  };
  ASSERT_TRUE(transfer_.store(access_, made(1), out(), {}).ok());
  expect_restored(1);
}

TEST_F(CheckpointPortTest, ARestartInBetweenIsSatOut) {
  service_.before_put = [this](int call) {
    if (call == 2 || call == 4) service_.restart();
    return grpc::Status::OK;
  };
  ASSERT_TRUE(transfer_.store(access_, made(1), out(), {}).ok());
  EXPECT_GT(service_.puts, 5);
  expect_restored(1);
}

TEST_F(CheckpointPortTest, ALostAcknowledgementStoresNothingTwice) {
  service_.after_commit = [this](int call) {
    if (call > 1) return grpc::Status::OK;
    service_.restart();
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
  };
  ASSERT_TRUE(transfer_.store(access_, made(1), out(), {}).ok());
  EXPECT_EQ(service_.store()->list(JobId(7)).size(), 1U);
  expect_restored(1);
}

TEST_F(CheckpointPortTest, TwoWorkersSendAndOneCommits) {
  const CheckpointManifest manifest = made(1);
  const std::span<const CheckpointFile> files(manifest.files);
  const CheckpointAccess second{{JobId(7), 1, 2}, access_.capability};
  const std::uint64_t bytes = manifest.total_bytes();
  Status sent;
  std::thread other([&] { sent = transfer_.send(second, 1, bytes, files.subspan(1), out(), {}); });
  EXPECT_TRUE(transfer_.send(access_, 1, bytes, files.first(1), out(), {}).ok());
  other.join();
  EXPECT_TRUE(sent.ok()) << sent.message;
  EXPECT_TRUE(transfer_.commit(access_, manifest, {}).ok());
  expect_restored(1);
  CheckpointManifest unsent = made(2);
  EXPECT_EQ(transfer_.commit(access_, unsent, {}).code, Code::kNotFound);
}

TEST_F(CheckpointPortTest, AFlippedBitFallsBackAndIsTold) {
  for (std::uint64_t step : {1U, 2U})
    ASSERT_TRUE(transfer_.store(access_, made(step), out(), {}).ok());
  const std::string path =
      "/data/checkpoints/7/1-2/" + to_hex(made(2).find("model.safetensors")->digest);
  std::string content = service_.files.contents().at(path);
  content[1'500'000] = static_cast<char>(content[1'500'000] ^ 1);
  service_.files.overwrite(path, content);
  const auto restored = transfer_.restore(access_, in(), {});
  ASSERT_TRUE(restored.has_value());
  ASSERT_EQ(restored->skipped.size(), 1U);
  EXPECT_NE(restored->skipped[0].find("model.safetensors of the checkpoint at step 2"),
            std::string::npos);
  expect_restored(1);
}

TEST_F(CheckpointPortTest, OtherBytesOnTheWayAreNotTaken) {
  ASSERT_TRUE(transfer_.store(access_, made(1), out(), {}).ok());
  service_.change = [](std::string& content) { content[0] = static_cast<char>(content[0] ^ 1); };
  const auto restored = transfer_.restore(access_, in(), {});
  ASSERT_FALSE(restored.has_value());
  EXPECT_EQ(restored.error().code, Code::kDataLoss);
  EXPECT_EQ(service_.reads, 5);
  EXPECT_TRUE(fs::is_empty(in()));
  // A file that was changed after its digest was taken is not stored.
  const CheckpointManifest manifest = made(2);
  std::ofstream(out() / "state", std::ios::binary) << "other";
  EXPECT_EQ(transfer_.store(access_, manifest, out(), {}).code, Code::kInvalidArgument);
  EXPECT_EQ(service_.store()->list(JobId(7)).size(), 1U);
}

TEST_F(CheckpointPortTest, AStopEndsIt) {
  std::stop_source source;
  away_ = 1'000'000;
  std::thread stopper([&] { source.request_stop(); });
  EXPECT_EQ(transfer_.store(access_, made(1), out(), source.get_token()).code, Code::kCancelled);
  stopper.join();
  EXPECT_EQ(service_.puts, 0);
}

}  // namespace
}  // namespace overwinter::worker
