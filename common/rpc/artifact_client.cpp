#include "common/rpc/artifact_client.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/formats/digest.h"
#include "common/rpc/channel.h"
#include "common/rpc/checked_file.h"
#include "common/rpc/sent_file.h"
#include "common/wire/status_grpc.h"
#include "overwinter/v1/artifact.grpc.pb.h"

namespace overwinter {
namespace {

// A descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Status write_all(int descriptor, const std::string& data, const std::filesystem::path& file) {
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t n = ::write(descriptor, data.data() + done, data.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_error("write", file);
    done += static_cast<std::size_t>(n);
  }
  return Status::success();
}

}  // namespace

struct ArtifactClient::Impl {
  std::unique_ptr<v1::ArtifactService::Stub> stub;
  ArtifactClientOptions options;

  void prepare(grpc::ClientContext& context, Duration timeout) const {
    if (options.prepare) options.prepare(context);
    set_deadline(context, timeout);
  }
  // Writes what it receives; the first status of either side.
  Status receive(grpc::ClientReader<v1::DownloadArtifactResponse>& reader, int descriptor,
                 const std::filesystem::path& file, const TransferProgress& progress) const;
};

ArtifactClient::ArtifactClient(std::shared_ptr<grpc::Channel> channel,
                               ArtifactClientOptions options)
    : impl_(std::make_unique<Impl>()) {
  impl_->stub = v1::ArtifactService::NewStub(channel);
  impl_->options = std::move(options);
}

ArtifactClient::~ArtifactClient() = default;

Status ArtifactClient::read_block(const v1::ReadBlockRequest& request, std::span<std::byte> out,
                                  std::stop_token stop) {
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = impl_->stub->ReadBlock(&context, request);
  std::size_t done = 0;
  bool too_much = false;
  v1::ReadBlockResponse chunk;
  while (reader->Read(&chunk)) {
    if (chunk.data().size() > out.size() - done) {
      too_much = true;
      context.TryCancel();
      break;
    }
    std::memcpy(out.data() + done, chunk.data().data(), chunk.data().size());
    done += chunk.data().size();
  }
  Status status = finished_transfer(reader->Finish(), stop);
  if (too_much || (status.ok() && done != out.size())) {
    return error(Code::kDataLoss,
                 "a block of " + std::to_string(out.size()) + " bytes came with another size");
  }
  return status;
}

Status ArtifactClient::read_blob(const std::string& capability, const Digest& digest,
                                 const std::filesystem::path& folder, const std::string& name,
                                 std::stop_token stop) {
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::ReadBlobRequest request;
  request.set_capability(capability);
  request.set_digest(to_hex(digest));
  auto reader = impl_->stub->ReadBlob(&context, request);
  std::unique_ptr<CheckedFile> file;
  Status written = Status::success();
  for (v1::ReadBlobResponse piece; written.ok() && reader->Read(&piece);) {
    if (!file) {
      auto made = CheckedFile::create(folder, {name, piece.size_bytes(), digest});
      if (made)
        file = std::move(*made);
      else
        written = made.error();
    }
    if (file) written = file->write(piece.data());
  }
  if (!written.ok()) context.TryCancel();
  const Status status = finished_transfer(reader->Finish(), stop);
  if (!written.ok()) return written;
  if (!status.ok()) return status;
  return file ? file->finish() : error(Code::kDataLoss, "a file came without its size");
}

Result<v1::PutTileResponse> ArtifactClient::put_tile(const v1::PutTileRequest::Begin& begin,
                                                     std::span<const std::byte> tile,
                                                     std::stop_token stop) {
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::PutTileResponse response;
  auto writer = impl_->stub->PutTile(&context, &response);
  v1::PutTileRequest request;
  *request.mutable_begin() = begin;
  bool open = writer->Write(request);
  for (std::size_t done = 0; open && done < tile.size(); done += kChunkBytes) {
    const std::size_t size = std::min(kChunkBytes, tile.size() - done);
    request.set_data(tile.data() + done, size);
    open = writer->Write(request);
  }
  // A refusal ends the stream early: its status says why.
  if (open) writer->WritesDone();
  if (Status status = finished_transfer(writer->Finish(), stop); !status.ok())
    return fail(std::move(status));
  return response;
}

Result<bool> ArtifactClient::has(const std::string& project, const std::string& digest,
                                 std::stop_token stop) {
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.call_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::CheckArtifactsRequest request;
  request.set_project(project);
  request.add_digests(digest);
  v1::CheckArtifactsResponse response;
  Status status =
      finished_transfer(impl_->stub->CheckArtifacts(&context, request, &response), stop);
  if (!status.ok()) return fail(std::move(status));
  return std::find(response.present().begin(), response.present().end(), digest) !=
         response.present().end();
}

Result<std::string> ArtifactClient::upload(const std::string& project, const std::string& digest,
                                           const std::filesystem::path& path,
                                           std::uint64_t size_bytes,
                                           const TransferProgress& progress, std::stop_token stop) {
  auto file = SentFile::open(path);
  if (!file) return fail(std::move(file.error()));
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::UploadArtifactResponse response;
  auto writer = impl_->stub->UploadArtifact(&context, &response);
  v1::UploadArtifactRequest request;
  request.mutable_begin()->set_project(project);
  request.mutable_begin()->set_digest(digest);
  request.mutable_begin()->set_size_bytes(size_bytes);
  Status sent = send_file(context, *writer, request, **file, size_bytes, progress, stop);
  if (!sent.ok()) return fail(std::move(sent));
  return response.uri();
}

Status ArtifactClient::put_outputs(const v1::PutOutputsRequest::Begin& begin,
                                   const std::filesystem::path& path, std::stop_token stop) {
  auto file = SentFile::open(path);
  if (!file) return error(Code::kFailedPrecondition, file.error().message);
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::PutOutputsResponse response;
  auto writer = impl_->stub->PutOutputs(&context, &response);
  v1::PutOutputsRequest request;
  *request.mutable_begin() = begin;
  return send_file(context, *writer, request, **file, begin.size_bytes(), {}, stop);
}

Status ArtifactClient::Impl::receive(grpc::ClientReader<v1::DownloadArtifactResponse>& reader,
                                     int descriptor, const std::filesystem::path& file,
                                     const TransferProgress& progress) const {
  v1::DownloadArtifactResponse part;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  bool first = true;
  std::string digest;
  formats::BlobDigester digester;
  while (reader.Read(&part)) {
    if (std::exchange(first, false)) {
      total = part.size_bytes();
      digest = part.digest();
    }
    if (!digest.empty()) digester.update(std::as_bytes(std::span(part.data())));
    if (Status written = write_all(descriptor, part.data(), file); !written.ok()) return written;
    done += part.data().size();
    if (progress) progress(done, total);
  }
  if (!first && done != total) {
    return error(Code::kDataLoss, "the download ended after " + std::to_string(done) + " of " +
                                      std::to_string(total) + " bytes");
  }
  // What came whole is not a transfer that broke off.
  if (!digest.empty() && to_hex(digester.finish()) != digest) {
    return error(Code::kInternal,
                 "what came is not what was stored: it is damaged at the coordinator");
  }
  return Status::success();
}

Status ArtifactClient::download(const v1::DownloadArtifactRequest& request,
                                const std::filesystem::path& path, const TransferProgress& progress,
                                std::stop_token stop) {
  std::string temporary = path.string() + ".part-XXXXXX";
  const File file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return io_error("write", path);
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = impl_->stub->DownloadArtifact(&context, request);
  Status received = impl_->receive(*reader, file.get(), path, progress);
  // A transfer that broke off has ended already, and its status says why.
  const bool broke_off = received.code == Code::kDataLoss;
  if (!received.ok() && !broke_off) context.TryCancel();
  Status status = finished_transfer(reader->Finish(), stop);
  if (status.ok() || (!received.ok() && !broke_off)) status = received;
  if (status.ok() && ::fchmod(file.get(), 0644) != 0) status = io_error("write", path);
  if (status.ok() && ::fsync(file.get()) != 0) status = io_error("write", path);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = io_error("write", path);
  if (!status.ok()) ::unlink(temporary.c_str());
  if (status.ok()) {
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    const File parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() >= 0) ::fsync(parent.get());
  }
  return status;
}

}  // namespace overwinter
