// A small coordinator in this process: real gRPC over real TLS on a free port of loopback, with the
// cluster's CA. It records what the worker says, and says what the test wants.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/security/ca.h"
#include "common/security/join_file.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "overwinter/v1/artifact.grpc.pb.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::worker {

inline std::filesystem::path fresh_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "ow-worker-XXXXXX").string();
  return ::mkdtemp(name.data());
}

// Row-major fp32 matrices by digest; tiles by unit.
struct FakeStore {
  struct Matrix {
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    std::vector<float> values;
  };
  std::map<std::string, Matrix> matrices;
};

class FakeCoordinator final : public v1::WorkerService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ConnectResponse, v1::ConnectRequest>;

  FakeCoordinator() : folder(fresh_folder()), artifacts_(*this) {
    ca = std::make_unique<CertificateAuthority>(
        CertificateAuthority::create(folder / "ca", "demo", system_wall_time()).value());
    const auto leaf = ca->issue_coordinator({}, system_wall_time()).value();
    EXPECT_TRUE(install_leaf(folder / "leaf", leaf, ca->root_pem(), system_wall_time()).ok());
    start("127.0.0.1:0");
  }
  ~FakeCoordinator() override {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  void start(const std::string& address) {
    WorkerServerOptions options;
    options.leaf_dir = folder / "leaf";
    auto credentials = worker_server_credentials(options).value();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, credentials, &port);
    builder.RegisterService(this);
    builder.RegisterService(&artifacts_);
    server_ = builder.BuildAndStart();
  }
  void stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port); }

  JoinFile join_file(Duration ttl = std::chrono::hours(1)) {
    JoinFile file;
    file.cluster = "demo";
    file.id = "3";
    file.addresses = {address()};
    file.root_fingerprint = parse_digest(ca->root_fingerprint_hex()).value();
    file.leaf = ca->issue_join("3", system_wall_time(), ttl).value();
    file.expires = system_wall_time() + ttl;
    return file;
  }

  // Waits until `seen` holds of everything received so far; false after ten seconds.
  bool until(const std::function<bool(const std::vector<v1::WorkerMessage>&)>& seen) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return seen(messages_); });
  }
  std::vector<v1::WorkerMessage> messages() {
    const MutexLock lock(mutex_);
    return messages_;
  }
  std::map<std::uint64_t, std::string> tiles() {
    const MutexLock lock(mutex_);
    return tiles_;
  }
  // For a condition of until(), which holds the lock.
  [[nodiscard]] std::size_t tiles_now() const { return tiles_.size(); }
  void say(v1::CoordinatorMessage message) {
    const MutexLock lock(mutex_);
    if (stream_ == nullptr) return;
    v1::ConnectResponse response;
    *response.add_messages() = std::move(message);
    stream_->Write(response);
  }
  // Ends the stream in use, as a restart would.
  void drop_stream() {
    const MutexLock lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override {
    if (request->name() == "unwanted") {
      return {grpc::StatusCode::PERMISSION_DENIED, "the join file has no use left"};
    }
    const MutexLock lock(mutex_);
    csrs.push_back(request->csr_pem());
    response->set_worker(12);
    response->set_name(request->name() + "-2");
    response->set_cluster("demo");
    response->set_root_pem(ca->root_pem());
    response->set_certificate_chain_pem(
        ca->sign_worker(request->csr_pem(), "12", system_wall_time()).value());
    return grpc::Status::OK;
  }
  grpc::Status Renew(grpc::ServerContext*, const v1::RenewRequest* request,
                     v1::RenewResponse* response) override {
    response->set_certificate_chain_pem(
        ca->sign_worker(request->csr_pem(), "12", system_wall_time()).value());
    return grpc::Status::OK;
  }
  grpc::Status Connect(grpc::ServerContext* context, Stream* stream) override {
    {
      const MutexLock lock(mutex_);
      stream_ = stream;
      context_ = context;
      ++streams;
    }
    v1::ConnectRequest request;
    while (stream->Read(&request)) {
      for (const v1::WorkerMessage& message : request.messages()) {
        if (message.has_hello()) {
          v1::CoordinatorMessage welcome;
          *welcome.mutable_welcome() = next_welcome;
          welcome.mutable_welcome()->mutable_heartbeat_every()->set_nanos(100'000'000);
          say(welcome);
        }
        if (message.has_report() && acknowledges) {
          v1::CoordinatorMessage acknowledged;
          acknowledged.mutable_acknowledge()->set_report(message.report().number());
          say(acknowledged);
        }
        const MutexLock lock(mutex_);
        messages_.push_back(message);
        changed_.notify_all();
      }
    }
    const MutexLock lock(mutex_);
    if (stream_ == stream) {
      stream_ = nullptr;
      context_ = nullptr;
    }
    return grpc::Status::OK;
  }

  const std::filesystem::path folder;
  std::unique_ptr<CertificateAuthority> ca;
  int port = 0;
  int streams = 0;
  bool acknowledges = true;
  std::vector<std::string> csrs;
  v1::Welcome next_welcome;
  FakeStore store;
  int put_failures = 0;  // the next so many tiles are answered UNAVAILABLE

 private:
  class Artifacts final : public v1::ArtifactService::Service {
   public:
    explicit Artifacts(FakeCoordinator& owner) : owner_(owner) {}
    grpc::Status ReadBlock(grpc::ServerContext*, const v1::ReadBlockRequest* r,
                           grpc::ServerWriter<v1::ReadBlockResponse>* writer) override {
      if (r->capability() != "may") return {grpc::StatusCode::PERMISSION_DENIED, "no capability"};
      const auto at = owner_.store.matrices.find(r->digest());
      if (at == owner_.store.matrices.end()) return {grpc::StatusCode::NOT_FOUND, "no such blob"};
      std::string bytes;
      for (std::uint64_t row = r->row_begin(); row < r->row_end(); ++row) {
        const float* from = at->second.values.data() + row * at->second.columns;
        bytes.append(reinterpret_cast<const char*>(from + r->column_begin()),
                     (r->column_end() - r->column_begin()) * sizeof(float));
      }
      for (std::size_t done = 0; done < bytes.size(); done += 1000) {  // odd chunks
        v1::ReadBlockResponse response;
        response.set_data(bytes.substr(done, 1000));
        writer->Write(response);
      }
      return grpc::Status::OK;
    }
    grpc::Status PutTile(grpc::ServerContext*, grpc::ServerReader<v1::PutTileRequest>* reader,
                         v1::PutTileResponse* response) override {
      v1::PutTileRequest request;
      std::string bytes;
      v1::PutTileRequest::Begin begin;
      while (reader->Read(&request)) {
        if (request.has_begin()) begin = request.begin();
        bytes += request.data();
      }
      const MutexLock lock(owner_.mutex_);
      if (owner_.put_failures > 0) {
        --owner_.put_failures;
        return {grpc::StatusCode::UNAVAILABLE, "restarting"};
      }
      response->set_outcome(owner_.tiles_.contains(begin.unit()) ? v1::PutTileResponse::REPEATED
                                                                 : v1::PutTileResponse::LANDED);
      EXPECT_EQ(bytes.size(), begin.size_bytes());
      owner_.tiles_[begin.unit()] = bytes;
      owner_.changed_.notify_all();
      return grpc::Status::OK;
    }

   private:
    FakeCoordinator& owner_;
  };

  Artifacts artifacts_;
  std::unique_ptr<grpc::Server> server_;
  Mutex mutex_;
  Condition changed_;
  std::vector<v1::WorkerMessage> messages_;
  std::map<std::uint64_t, std::string> tiles_;
  Stream* stream_ = nullptr;
  grpc::ServerContext* context_ = nullptr;
};

}  // namespace overwinter::worker
