// ArtifactService: on the people's port uploads and downloads, on the workers' port blocks and
// tiles by capability. One object serves one port; what the port's table does not name never
// reaches it.
#pragma once

#include "common/security/capability.h"
#include "coordinator/artifacts/job_archives.h"
#include "coordinator/rpc/service_context.h"
#include "coordinator/runtime/tile_intake.h"
#include "overwinter/v1/artifact.grpc.pb.h"

namespace overwinter::rpc {

class ArtifactService final : public v1::ArtifactService::CallbackService {
 public:
  ArtifactService(ServiceContext& context, runtime::TileIntake& tiles,
                  artifacts::JobArchives& archives, CapabilityVerifier verifier)
      : context_(context), tiles_(tiles), archives_(archives), verifier_(std::move(verifier)) {}

  grpc::ServerUnaryReactor* CheckArtifacts(grpc::CallbackServerContext* call,
                                           const v1::CheckArtifactsRequest* request,
                                           v1::CheckArtifactsResponse* response) override;
  grpc::ServerReadReactor<v1::UploadArtifactRequest>* UploadArtifact(
      grpc::CallbackServerContext* call, v1::UploadArtifactResponse* response) override;
  grpc::ServerWriteReactor<v1::DownloadArtifactResponse>* DownloadArtifact(
      grpc::CallbackServerContext* call, const v1::DownloadArtifactRequest* request) override;
  grpc::ServerWriteReactor<v1::ReadBlobResponse>* ReadBlob(
      grpc::CallbackServerContext* call, const v1::ReadBlobRequest* request) override;
  grpc::ServerWriteReactor<v1::ReadBlockResponse>* ReadBlock(
      grpc::CallbackServerContext* call, const v1::ReadBlockRequest* request) override;
  grpc::ServerReadReactor<v1::PutTileRequest>* PutTile(grpc::CallbackServerContext* call,
                                                       v1::PutTileResponse* response) override;
  grpc::ServerReadReactor<v1::PutOutputsRequest>* PutOutputs(
      grpc::CallbackServerContext* call, v1::PutOutputsResponse* response) override;

 private:
  ServiceContext& context_;
  runtime::TileIntake& tiles_;
  artifacts::JobArchives& archives_;
  const CapabilityVerifier verifier_;
};

// artifact_archives.cpp: what exec jobs leave.

// `caller`: the worker, or why it is none.
[[nodiscard]] grpc::ServerReadReactor<v1::PutOutputsRequest>* put_outputs(
    ServiceContext& context, artifacts::JobArchives& archives, const CapabilityVerifier& verifier,
    const Result<Principal>& caller);
// Whether the job's result is an archive.
[[nodiscard]] bool leaves_archives(const runtime::JobView& job);
// Its outputs, or its folder. NOT_FOUND says why there is none and what to do. Blocks.
[[nodiscard]] Result<artifacts::JobArchive> archive_of_job(const artifacts::JobArchives& archives,
                                                           const runtime::JobView& job,
                                                           bool workdir, Time now);

// The longest piece of content in one message.
inline constexpr std::size_t kPieceBytesMax = std::size_t{1024} * 1024;

}  // namespace overwinter::rpc
