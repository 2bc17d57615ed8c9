// CheckpointClient: the calls and streams of CheckpointService, for workers (by capability) and
// people (download by token).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "common/base/result.h"
#include "common/domain/checkpoint.h"
#include "common/rpc/artifact_client.h"  // options, TransferProgress
#include "overwinter/v1/checkpoint.pb.h"

namespace overwinter {

// Thread-safe. Calls block, are made once (who calls retries; each may be repeated), and end with
// CANCELLED within milliseconds of a stop.
class CheckpointClient {
 public:
  explicit CheckpointClient(std::shared_ptr<grpc::Channel> channel,
                            ArtifactClientOptions options = {});
  ~CheckpointClient();
  CheckpointClient(const CheckpointClient&) = delete;
  CheckpointClient& operator=(const CheckpointClient&) = delete;

  Status begin(const v1::BeginCheckpointRequest& request, std::stop_token stop = {});
  // Sends a file of known digest and size in pieces of 1 MiB. DATA_LOSS when the file has another
  // size by now.
  Status put_file(const v1::PutCheckpointFileRequest::Begin& begin,
                  const std::filesystem::path& file, std::stop_token stop = {});
  [[nodiscard]] Result<v1::Checkpoint> commit(const v1::CommitCheckpointRequest& request,
                                              std::stop_token stop = {});
  [[nodiscard]] Result<v1::GetLastCheckpointResponse> last(
      const v1::GetLastCheckpointRequest& request, std::stop_token stop = {});
  // Writes the file to folder/NAME, making folders on the way; whole, of the right digest and
  // durable, or not at all. DATA_LOSS when other content comes.
  Status read_file(const v1::ReadCheckpointFileRequest& request, const CheckpointFile& file,
                   const std::filesystem::path& folder, std::stop_token stop = {});
  // The files of a checkpoint into a folder, in the same way each; returns what they are. Names
  // that would leave the folder are refused, whoever sends them.
  [[nodiscard]] Result<std::vector<CheckpointFile>> download(
      const v1::DownloadCheckpointRequest& request, const std::filesystem::path& folder,
      const TransferProgress& progress = {}, std::stop_token stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter
