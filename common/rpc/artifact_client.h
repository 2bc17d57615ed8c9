// ArtifactClient: the chunked streams of ArtifactService, for workers (ReadBlock, PutTile by
// capability) and people (Upload, Download by token).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "overwinter/v1/artifact.pb.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace overwinter {

// Bytes done and all; called from the calling thread, at most once a chunk. May be empty.
using TransferProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

struct ArtifactClientOptions {
  // Puts a token on each call; may be empty.
  std::function<void(grpc::ClientContext&)> prepare;
  // Of calls without a bulk transfer, and the longest that a transfer may take.
  Duration call_timeout{30'000};
  Duration transfer_timeout{std::chrono::hours(24)};
};

// Thread-safe. Calls block, are made once (who calls retries: read_block and put_tile may be
// repeated), and end with CANCELLED within milliseconds of a stop.
class ArtifactClient {
 public:
  explicit ArtifactClient(std::shared_ptr<grpc::Channel> channel,
                          ArtifactClientOptions options = {});
  ~ArtifactClient();
  ArtifactClient(const ArtifactClient&) = delete;
  ArtifactClient& operator=(const ArtifactClient&) = delete;

  // Exactly out.size() bytes; DATA_LOSS when the other side sends fewer or more.
  Status read_block(const v1::ReadBlockRequest& request, std::span<std::byte> out,
                    std::stop_token stop = {});
  // A whole blob of a seat into folder/name: whole and of that digest, or not at all (DATA_LOSS).
  Status read_blob(const std::string& capability, const Digest& digest,
                   const std::filesystem::path& folder, const std::string& name,
                   std::stop_token stop = {});
  [[nodiscard]] Result<v1::PutTileResponse> put_tile(const v1::PutTileRequest::Begin& begin,
                                                     std::span<const std::byte> tile,
                                                     std::stop_token stop = {});

  // An archive of known digest and size, in pieces of 1 MiB. DATA_LOSS when the file has another
  // size by now; FAILED_PRECONDITION when it cannot be read.
  Status put_outputs(const v1::PutOutputsRequest::Begin& begin, const std::filesystem::path& file,
                     std::stop_token stop = {});

  // Whether the project has the content already.
  [[nodiscard]] Result<bool> has(const std::string& project, const std::string& digest,
                                 std::stop_token stop = {});
  // Sends a file of known digest and size; returns its URI. DATA_LOSS when the file has another
  // size by now.
  [[nodiscard]] Result<std::string> upload(const std::string& project, const std::string& digest,
                                           const std::filesystem::path& file,
                                           std::uint64_t size_bytes,
                                           const TransferProgress& progress = {},
                                           std::stop_token stop = {});
  // Whole or not at all: a temporary file beside it, fsync, rename. Of an error no file is left.
  // INTERNAL: other content came than the digest that was said with it.
  Status download(const v1::DownloadArtifactRequest& request, const std::filesystem::path& file,
                  const TransferProgress& progress = {}, std::stop_token stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter
