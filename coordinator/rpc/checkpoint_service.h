// CheckpointService: lists, downloads and verifications for people; for workers, by capability,
// what they write and what a new attempt reads. One object a port.
#pragma once

#include <functional>
#include <memory>

#include "common/security/capability.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/rpc/service_context.h"
#include "overwinter/v1/checkpoint.grpc.pb.h"

namespace overwinter::rpc {

// Called on the pool once a checkpoint is durable and before the worker is told, again for each
// repeated commit of the same one (its first answer may have been lost): what takes it must be
// idempotent by job, attempt and step. Here the core learns of it. After a crash in between the
// checkpoint is stored and nobody was told: at the start, compare with CheckpointStore::list.
using CheckpointStored = std::function<void(const CheckpointManifest&)>;

class CheckpointService final : public v1::CheckpointService::CallbackService {
 public:
  using Unary = grpc::ServerUnaryReactor;
  using Call = grpc::CallbackServerContext;

  // Context and store outlive it. `stored` may be empty.
  CheckpointService(ServiceContext& context, artifacts::CheckpointStore& checkpoints,
                    CapabilityVerifier verifier, CheckpointStored stored)
      : context_(context),
        checkpoints_(checkpoints),
        verifier_(std::move(verifier)),
        stored_(std::move(stored)) {}

  Unary* ListCheckpoints(Call* call, const v1::ListCheckpointsRequest* request,
                         v1::ListCheckpointsResponse* response) override;
  Unary* GetCheckpoint(Call* call, const v1::GetCheckpointRequest* request,
                       v1::Checkpoint* response) override;
  grpc::ServerWriteReactor<v1::DownloadCheckpointResponse>* DownloadCheckpoint(
      Call* call, const v1::DownloadCheckpointRequest* request) override;
  Unary* VerifyCheckpoint(Call* call, const v1::VerifyCheckpointRequest* request,
                          v1::VerifyCheckpointResponse* response) override;

  Unary* BeginCheckpoint(Call* call, const v1::BeginCheckpointRequest* request,
                         v1::BeginCheckpointResponse* response) override;
  grpc::ServerReadReactor<v1::PutCheckpointFileRequest>* PutCheckpointFile(
      Call* call, v1::PutCheckpointFileResponse* response) override;
  Unary* CommitCheckpoint(Call* call, const v1::CommitCheckpointRequest* request,
                          v1::Checkpoint* response) override;
  Unary* GetLastCheckpoint(Call* call, const v1::GetLastCheckpointRequest* request,
                           v1::GetLastCheckpointResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadCheckpointFileResponse>* ReadCheckpointFile(
      Call* call, const v1::ReadCheckpointFileRequest* request) override;

 private:
  ServiceContext& context_;
  artifacts::CheckpointStore& checkpoints_;
  const CapabilityVerifier verifier_;
  const CheckpointStored stored_;
};

// "projects/P/jobs/J/checkpoints/STEP".
[[nodiscard]] std::string checkpoint_resource_name(const runtime::JobView& job, std::uint64_t step);

}  // namespace overwinter::rpc
