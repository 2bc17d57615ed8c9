// The services of both ports over a coordinator with a real core, store and pool, with exec jobs
// whose seats a worker holds. The jobs stand in the views alone, which is what services look at: no
// release has to be able to run them. Without TLS: a worker is who the test says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/wire/convert.h"
#include "common/wire/status_grpc.h"
#include "tests/support/service_cluster.h"

namespace overwinter::test {

inline constexpr WorkerId kHolder{5};

// What a test puts in front of a call of a worker: OK, or how the call ends instead.
class Refusals {
 public:
  void say(std::function<Status()> what) {
    const MutexLock lock(mutex_);
    what_ = std::move(what);
  }
  Status next() {
    const MutexLock lock(mutex_);
    ++calls_;
    return what_ ? what_() : Status::success();
  }
  int calls() const {
    const MutexLock lock(mutex_);
    return calls_;
  }

 private:
  mutable Mutex mutex_;
  std::function<Status()> what_ OW_GUARDED_BY(mutex_);
  int calls_ OW_GUARDED_BY(mutex_) = 0;
};

class BothArtifactPorts final : public v1::ArtifactService::CallbackService {
 public:
  explicit BothArtifactPorts(ServiceCluster& services) : services_(services) {}
  grpc::ServerWriteReactor<v1::DownloadArtifactResponse>* DownloadArtifact(
      grpc::CallbackServerContext* call, const v1::DownloadArtifactRequest* request) override {
    return services_.artifact_service.DownloadArtifact(call, request);
  }
  grpc::ServerReadReactor<v1::PutOutputsRequest>* PutOutputs(grpc::CallbackServerContext*,
                                                             v1::PutOutputsResponse*) override {
    const Status status = refusals.next();
    const Result<Principal> worker =
        status.ok() ? Result<Principal>(
                          Principal{PrincipalKind::kWorker, kHolder.value(), Role::kNone, {}, "w"})
                    : fail(status);
    return rpc::put_outputs(services_.context, *services_.archives, services_.signer.verifier(),
                            worker);
  }
  Refusals refusals;

 private:
  ServiceCluster& services_;
};

class BothSecretPorts final : public v1::SecretService::CallbackService {
 public:
  using Unary = grpc::ServerUnaryReactor;
  using Call = grpc::CallbackServerContext;
  explicit BothSecretPorts(ServiceCluster& services) : services_(services) {}
  Unary* SetSecret(Call* call, const v1::SetSecretRequest* request, v1::Secret* response) override {
    return services_.secret_service.SetSecret(call, request, response);
  }
  Unary* ListSecrets(Call* call, const v1::ListSecretsRequest* request,
                     v1::ListSecretsResponse* response) override {
    return services_.secret_service.ListSecrets(call, request, response);
  }
  Unary* DeleteSecret(Call* call, const v1::DeleteSecretRequest* request,
                      v1::DeleteSecretResponse* response) override {
    return services_.secret_service.DeleteSecret(call, request, response);
  }
  Unary* ReadSecrets(Call* call, const v1::ReadSecretsRequest* request,
                     v1::ReadSecretsResponse* response) override {
    auto* reactor = call->DefaultReactor();
    Status status = refusals.next();
    if (status.ok()) {
      auto read = rpc::secrets_of_seat(services_.context, *services_.secrets,
                                       services_.signer.verifier(), kHolder, *request);
      if (read)
        *response = std::move(*read);
      else
        status = read.error();
    }
    rpc::finish(reactor, status);
    return reactor;
  }
  Refusals refusals;

 private:
  ServiceCluster& services_;
};

class ExecCluster {
 public:
  ExecCluster() { services.serve(nullptr, nullptr, &artifacts, &secrets, true); }

  // Puts a job into the views, or replaces it; the worker holds seat 1 of its attempt until it has
  // ended. Returns that seat.
  SeatKey put_job(JobId id, const std::string& project, const v1::ExecSpec& exec,
                  core::JobState state = core::JobState::kRunning, AttemptNumber attempt = 1) {
    runtime::JobView job;
    job.id = id;
    job.project = project;
    job.name = "train-" + std::to_string(id.value());
    v1::JobSpec spec;
    *spec.mutable_exec() = exec;
    job.spec = std::make_shared<const std::string>(spec.SerializeAsString());
    job.plan = std::make_shared<const std::string>();
    job.state = state;
    job.attempt = attempt;
    const SeatKey seat{id, attempt, 1};
    if (core::is_terminal(state))
      job.ended = services.loop.now();
    else
      job.seats.push_back({seat, kHolder});
    runtime::ViewChange change;
    change.jobs.push_back(std::make_shared<const runtime::JobView>(std::move(job)));
    services.views.apply(change);
    return seat;
  }
  static std::string resource(const std::string& project, JobId id) {
    return "projects/" + project + "/jobs/train-" + std::to_string(id.value());
  }
  std::string capability(const SeatKey& seat, WorkerId holder = kHolder, bool writes = true) {
    Capability made;
    made.holder = std::to_string(holder.value());
    made.project = "default";
    made.job = std::to_string(seat.job.value());
    made.attempt = seat.attempt;
    made.write_tiles = writes;
    made.end = services.loop.now() + std::chrono::hours(1);
    return services.signer.sign(made).value();
  }
  static void prepare(grpc::ClientContext& context, const std::string& token) {
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  template <class Stub, class Request, class Response>
  static Status call(const std::string& token, Stub& stub,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request, Response& response) {
    grpc::ClientContext context;
    prepare(context, token);
    return wire::from_grpc((stub.*method)(&context, request, &response));
  }

 private:
  class Prepared : public StoredCluster {
   public:
    Prepared() {
      using core::test::admin;
      cluster.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
      submitter = add_token(*this, Role::kSubmitter, "default", "submitter");
      viewer = add_token(*this, Role::kViewer, "default", "viewer");
      stranger = add_token(*this, Role::kAdmin, "other", "stranger");
      save();
      reopen();
    }
    std::string submitter, viewer, stranger;
  };

 public:
  Prepared tokens;
  NoWorkers workers;
  ManualClock clock{tokens.cluster.now};
  ServiceCluster services{tokens, clock, workers};
  BothArtifactPorts artifacts{services};
  BothSecretPorts secrets{services};
};

}  // namespace overwinter::test
