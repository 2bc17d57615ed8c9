// The services for people over a coordinator with a real core, store and pool, called as any gRPC
// client would. Without TLS and ports: the handlers resolve the caller from the call's own token.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <memory>
#include <string>

#include "common/security/token.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/billing_service.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/log_service.h"
#include "coordinator/rpc/secret_service.h"
#include "coordinator/runtime/coordinator_loop.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::test {

// Commits what the loop decides.
class StoringSink final : public runtime::TurnSink {
 public:
  explicit StoringSink(StoredCluster& stored) : stored_(stored) {}
  Status commit(std::span<const runtime::Turn> turns) override {
    for (const auto& turn : turns) stored_.commit(turn.time, turn.facts);
    return Status::success();
  }

 private:
  StoredCluster& stored_;
};

struct NoWorkers final : runtime::WorkerLink {
  void launch(const core::LaunchGang&) override {}
  void order(const core::Effect&) override {}
  void flush() override {}
  void end_principal(const core::EndPrincipal&) override {}
};

// Both clocks of a machine, moved by hand. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time time) : ms_(time.time_since_epoch().count()) {}
  void advance(Duration duration) { ms_ += duration.count(); }
  [[nodiscard]] std::chrono::milliseconds wall() const override { return Duration(ms_.load()); }
  [[nodiscard]] std::chrono::nanoseconds monotonic() const override { return wall(); }

 private:
  std::atomic<std::int64_t> ms_;
};

// A token in the cluster's life before the coordinator starts.
inline std::string add_token(StoredCluster& stored, Role role, const std::string& project,
                             const std::string& name) {
  std::string token = make_token();
  core::TokenCreateRequested event;
  event.by = core::test::admin();
  event.hash = token_hash(token);
  event.role = role;
  event.project = project;
  event.name = name;
  stored.cluster.step(event);
  return token;
}

// Starts on what `stored` holds at its last reopen().
class ServiceCluster {
 public:
  ServiceCluster(StoredCluster& stored, const Clock& clock, runtime::WorkerLink& workers)
      : stored_(stored), clock_(clock), workers_(workers) {
    queue.post_vital(core::CoordinatorStarted{"test", 7});
    loop.start();
  }
  ~ServiceCluster() {
    streams.end_everything(error(Code::kUnavailable, "stopping"));
    probes.stop();
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    loop.stop();
    requests.fail_all();
    pool.stop();
  }
  ServiceCluster(const ServiceCluster&) = delete;
  ServiceCluster& operator=(const ServiceCluster&) = delete;

  // Begins to answer; what is given stands for the real services. `on_loopback`: through sockets,
  // as programs do: an in-process stream that is ended early leaves its writer waiting.
  void serve(grpc::Service* jobs = nullptr, grpc::Service* logs = nullptr,
             grpc::Service* both_artifacts = nullptr, grpc::Service* both_secrets = nullptr,
             bool on_loopback = false) {
    grpc::ServerBuilder builder;
    int port = 0;
    if (on_loopback) {
      builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    }
    builder.RegisterService(jobs != nullptr ? jobs : &job_service);
    builder.RegisterService(&admin_service_);
    builder.RegisterService(&billing_service_);
    builder.RegisterService(both_artifacts != nullptr ? both_artifacts : &artifact_service);
    builder.RegisterService(logs != nullptr ? logs : &log_service_);
    builder.RegisterService(&checkpoint_service_);
    builder.RegisterService(both_secrets != nullptr ? both_secrets : &secret_service);
    server_ = builder.BuildAndStart();
    channel = on_loopback ? grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                grpc::InsecureChannelCredentials())
                          : server_->InProcessChannel({});
  }

 private:
  StoredCluster& stored_;
  const Clock& clock_;
  runtime::WorkerLink& workers_;

 public:
  runtime::EventQueue queue{{}};
  runtime::Requests requests{queue};
  runtime::Views views{1'000};
  runtime::BlockingPool pool{{}};
  rpc::StreamRegistry streams;
  std::shared_ptr<grpc::Channel> channel;

 private:
  runtime::LinkMeter links_;
  std::unique_ptr<artifacts::BlobStore> blobs_ = std::move(
      artifacts::BlobStore::open(artifacts::posix_files(), stored_.folder().string(), {}).value());
  std::unique_ptr<artifacts::ResultStore> results_ = std::move(
      artifacts::ResultStore::open(artifacts::posix_files(), stored_.folder().string(), {})
          .value());
  runtime::Planner planner_{views, links_, *blobs_, *results_, stored_.store().history(),
                            pool,  queue};
  runtime::ResultKeeper keeper_{views, *blobs_, *results_, pool, queue};
  StoringSink sink_{stored_};
  runtime::EffectDispatcher effects_{{&workers_, &requests, &keeper_, &planner_}};

 public:
  runtime::CoordinatorLoop loop{
      stored_.scheduler(), clock_, stored_.cluster.now, queue, sink_, effects_, views};
  runtime::Costs costs{views, stored_.store()};
  const runtime::Serving serving{stored_.cluster.now, "https://box:7601", stored_.folder(),
                                 stored_.folder() / "leaf"};
  // What workers are asked: a test answers by probes.take(). Nobody is connected until it is set.
  rpc::WorkerProbes::Send asks = [](WorkerId, Incarnation, const v1::CoordinatorMessage&) {
    return false;
  };
  rpc::WorkerProbes probes{
      [this](WorkerId worker, Incarnation incarnation, v1::CoordinatorMessage message) {
        return asks(worker, incarnation, std::move(message));
      },
      [] { return Time(system_clock().wall()); }};

 private:
  CertificateAuthority authority_ = std::move(
      CertificateAuthority::create(stored_.folder() / "ca", "test", Time(system_clock().wall()))
          .value());
  runtime::TileIntake tiles_{*results_, keeper_, pool, queue, {}};

 public:
  CapabilitySigner signer =
      std::move(CapabilitySigner::open(stored_.folder() / "capabilities.pem").value());
  std::unique_ptr<telemetry::Telemetry> telemetry =
      std::move(telemetry::Telemetry::open(stored_.folder() / "telemetry").value());
  std::unique_ptr<secrets::SecretStore> secrets = std::move(
      secrets::SecretStore::open(stored_.folder() / "secrets", stored_.folder() / "secrets.key")
          .value());
  std::unique_ptr<telemetry::AuditLog> audit =
      std::move(telemetry::AuditLog::open(stored_.folder() / "audit").value());
  rpc::ServiceContext context{
      std::make_shared<const rpc::Authorizer>(views, [this] { return loop.now(); }),
      views,
      requests,
      planner_,
      pool,
      keeper_,
      links_,
      *blobs_,
      streams,
      [this] { return loop.now(); },
      [] { return Status::success(); },
      costs,
      serving,
      stored_.store(),
      *secrets,
      *audit,
      true,
      authority_,
      {"box:7602"},
      "box:7600"};
  // Not started: a test of hooks is answered all the same.
  runtime::Notices notices{{views, requests, [this] { return loop.now(); }, serving,
                            stored_.folder() / "notify.yaml", stored_.folder() / "notify.told"}};
  rpc::JobService job_service{context, *telemetry};
  std::unique_ptr<artifacts::CheckpointStore> checkpoints = std::move(
      artifacts::CheckpointStore::open(artifacts::posix_files(), stored_.folder().string(), {})
          .value());
  std::unique_ptr<artifacts::JobArchives> archives = std::move(
      artifacts::JobArchives::open(artifacts::posix_files(), stored_.folder().string(), {})
          .value());
  rpc::ArtifactService artifact_service{context, tiles_, *archives, signer.verifier()};
  rpc::SecretService secret_service{context, *secrets, signer.verifier()};

 private:
  std::unique_ptr<artifacts::HeldFiles> held_ = std::move(
      artifacts::HeldFiles::open(artifacts::posix_files(), stored_.folder().string()).value());
  backup::Backups backups_{{stored_.folder(), "test", 1}, *held_, [this] { return loop.now(); }};
  store::LogChecks log_checks_{stored_.folder()};
  rpc::AdminService admin_service_{context, probes, notices, backups_, log_checks_};
  rpc::BillingService billing_service_{context};
  rpc::LogService log_service_{context, *telemetry, signer.verifier()};
  rpc::CheckpointService checkpoint_service_{context, *checkpoints, signer.verifier(), {}};
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace overwinter::test
