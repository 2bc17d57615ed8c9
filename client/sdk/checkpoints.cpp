// Checkpoints of jobs.
#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"

namespace overwinter::client {

Result<v1::ListCheckpointsResponse> Client::list_checkpoints(const std::string& job) {
  v1::ListCheckpointsRequest request;
  request.set_parent(job);
  request.set_page_size(1000);
  return impl_->all_pages(*impl_->checkpoints, &v1::CheckpointService::Stub::ListCheckpoints,
                          request);
}

Result<v1::Checkpoint> Client::get_checkpoint(const std::string& name) {
  v1::GetCheckpointRequest request;
  request.set_name(name);
  return impl_->call(*impl_->checkpoints, &v1::CheckpointService::Stub::GetCheckpoint, request);
}

Result<v1::VerifyCheckpointResponse> Client::verify_checkpoint(const std::string& name) {
  v1::VerifyCheckpointRequest request;
  request.set_name(name);
  v1::VerifyCheckpointResponse response;
  const grpc::Status status =
      impl_->attempt(*impl_->checkpoints, &v1::CheckpointService::Stub::VerifyCheckpoint, request,
                     response, std::chrono::hours(24), false);
  if (!status.ok()) return fail(impl_->explained(status));
  return response;
}

Result<std::vector<CheckpointFile>> Client::download_checkpoint(
    const std::string& name, const std::vector<CheckpointFileKind>& kinds,
    const std::string& folder, const ByteProgress& progress) {
  v1::DownloadCheckpointRequest request;
  request.set_name(name);
  for (const CheckpointFileKind kind : kinds)
    request.add_kinds(static_cast<v1::CheckpointFile::Kind>(kind));
  auto files = impl_->checkpoint_files->download(request, folder, progress);
  if (!files) return fail(impl_->explained(std::move(files.error())));
  return files;
}

}  // namespace overwinter::client
