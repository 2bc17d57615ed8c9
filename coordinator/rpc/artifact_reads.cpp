// ArtifactService: what is read. Downloads of people, blocks for workers, and what is there
// already.
#include <utility>

#include "coordinator/artifacts/block_reader.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/blob_source.h"
#include "coordinator/rpc/byte_stream.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr int kCheckMax = 1000;

template <class Reader>
class ReaderSource final : public ByteSource {
 public:
  explicit ReaderSource(Reader reader) : reader_(std::move(reader)) {}
  Result<std::size_t> next(std::span<std::byte> out) override { return reader_.next(out); }
  std::uint64_t bytes_left() const override { return reader_.bytes_left(); }

 private:
  Reader reader_;
};

template <class Response>
Result<std::unique_ptr<ByteSource>> open_blob(ServiceContext& context, const std::string& project,
                                              const std::string& digest_text, Response& first) {
  const auto digest = parse_digest(digest_text);
  if (!digest) return fail(digest.error());
  auto blob = context.blobs.open_blob({project, *digest});
  if (!blob) return fail(blob.error());
  first.set_size_bytes(blob->size_bytes);
  return std::make_unique<BlobSource>(std::move(*blob));
}

Result<std::unique_ptr<ByteSource>> open_result(ServiceContext& context,
                                                const artifacts::JobArchives& archives,
                                                const runtime::JobView& job, bool workdir,
                                                v1::DownloadArtifactResponse& first) {
  if (workdir || leaves_archives(job)) {
    auto archive = archive_of_job(archives, job, workdir, context.now());
    if (!archive) return fail(archive.error());
    first.set_size_bytes(archive->blob.size_bytes);
    first.set_file_name(job.name + ".owar");
    first.set_digest(to_hex(archive->digest));
    return std::make_unique<BlobSource>(std::move(archive->blob));
  }
  auto reader = context.results.read(job);
  if (!reader) return fail(reader.error());
  first.set_size_bytes(reader->size_bytes());
  first.set_file_name(job.name + ".npy");
  return std::make_unique<ReaderSource<artifacts::ResultReader>>(std::move(*reader));
}

Result<std::unique_ptr<ByteSource>> open_block(ServiceContext& context,
                                               const Capability& capability,
                                               const v1::ReadBlockRequest& request) {
  const auto digest = parse_digest(request.digest());
  if (!digest) return fail(digest.error());
  if (!may_read(capability, *digest)) {
    return fail(Code::kPermissionDenied, "this capability is not for that matrix");
  }
  auto matrix = context.blobs.open_matrix({capability.project, *digest});
  if (!matrix) return fail(matrix.error());
  const artifacts::Block block{request.row_begin(), request.row_end(), request.column_begin(),
                               request.column_end()};
  auto reader = artifacts::BlockReader::open(matrix->file, matrix->header, block);
  if (!reader) return fail(reader.error());
  return std::make_unique<ReaderSource<artifacts::BlockReader>>(std::move(*reader));
}

struct WorkerReader {
  Principal caller;
  Capability capability;
};

Result<WorkerReader> worker_that_reads(const ServiceContext& context,
                                       const CapabilityVerifier& verifier,
                                       const grpc::CallbackServerContext& call,
                                       const std::string& capability) {
  auto caller = context.authorizer->peer_caller(call, Permission::kArtifactByCapability);
  if (!caller) return fail(caller.error());
  auto shown = verifier.verify(capability, std::to_string(caller->id), context.now());
  if (!shown) return fail(shown.error());
  return WorkerReader{std::move(*caller), std::move(*shown)};
}

// How fast the worker's link was when an answer has gone out whole.
std::function<void(std::uint64_t, std::chrono::nanoseconds)> note_link(ServiceContext& context,
                                                                       const Principal& worker) {
  return
      [&context, worker = WorkerId(worker.id)](std::uint64_t bytes, std::chrono::nanoseconds took) {
        context.links.note(worker, bytes, took);
      };
}

}  // namespace

grpc::ServerUnaryReactor* ArtifactService::CheckArtifacts(grpc::CallbackServerContext* call,
                                                          const v1::CheckArtifactsRequest* request,
                                                          v1::CheckArtifactsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kSubmitJobs);
  const std::string project = caller ? project_of(*caller, request->project()) : std::string();
  Status status = caller ? check_project(context_, *caller, project) : caller.error();
  if (status.ok() && request->digests_size() > kCheckMax) {
    status = error(Code::kInvalidArgument, "at most 1,000 digests are asked at once", "digests");
  }
  if (status.ok()) {
    status = context_.pool.run(runtime::Work::kRead, [this, project, reactor, request, response] {
      for (const auto& text : request->digests()) {
        const auto digest = parse_digest(text);
        if (!digest) return finish(reactor, digest.error());
        if (context_.blobs.has({project, *digest})) response->add_present(text);
      }
      finish(reactor, Status::success());
    });
    if (status.ok()) return reactor;
  }
  finish(reactor, status);
  return reactor;
}

grpc::ServerWriteReactor<v1::DownloadArtifactResponse>* ArtifactService::DownloadArtifact(
    grpc::CallbackServerContext* call, const v1::DownloadArtifactRequest* request) {
  using Response = v1::DownloadArtifactResponse;
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) return new RefusedStream<Response>(caller.error());
  if (request->has_blob()) {
    const auto& blob = request->blob();
    const std::string project = project_of(*caller, blob.project());
    if (Status status = check_project(context_, *caller, project); !status.ok()) {
      return new RefusedStream<Response>(status);
    }
    return new ByteStream<Response>(context_, *caller,
                                    [this, project, digest = blob.digest()](Response& first) {
                                      first.set_file_name(digest.substr(0, 12) + ".npy");
                                      return open_blob(context_, project, digest, first);
                                    });
  }
  auto job = find_job(context_, *caller, request->job());
  if (!job && job.error().code != Code::kNotFound) return new RefusedStream<Response>(job.error());
  return new ByteStream<Response>(
      context_, *caller,
      [this, job = std::move(job), caller = *caller, name = request->job(),
       workdir = request->workdir()](Response& first) -> Result<std::unique_ptr<ByteSource>> {
        if (job) return open_result(context_, archives_, **job, workdir, first);
        const auto past = runtime::find_past_job(context_.store.history(), caller, name);
        if (!past) return fail(past.error());
        return open_result(context_, archives_, **past, workdir, first);
      });
}

grpc::ServerWriteReactor<v1::ReadBlobResponse>* ArtifactService::ReadBlob(
    grpc::CallbackServerContext* call, const v1::ReadBlobRequest* request) {
  using Response = v1::ReadBlobResponse;
  const auto reader = worker_that_reads(context_, verifier_, *call, request->capability());
  if (!reader) return new RefusedStream<Response>(reader.error());
  const auto digest = parse_digest(request->digest());
  if (!digest) return new RefusedStream<Response>(digest.error());
  if (!may_read(reader->capability, *digest)) {
    return new RefusedStream<Response>(
        error(Code::kPermissionDenied, "this capability is not for that file"));
  }
  return new ByteStream<Response>(
      context_, reader->caller,
      [this, project = reader->capability.project, text = request->digest()](Response& first) {
        return open_blob(context_, project, text, first);
      },
      note_link(context_, reader->caller));
}

grpc::ServerWriteReactor<v1::ReadBlockResponse>* ArtifactService::ReadBlock(
    grpc::CallbackServerContext* call, const v1::ReadBlockRequest* request) {
  using Response = v1::ReadBlockResponse;
  const auto reader = worker_that_reads(context_, verifier_, *call, request->capability());
  if (!reader) return new RefusedStream<Response>(reader.error());
  return new ByteStream<Response>(
      context_, reader->caller,
      [this, capability = reader->capability, asked = *request](Response&) {
        return open_block(context_, capability, asked);
      },
      note_link(context_, reader->caller));
}

}  // namespace overwinter::rpc
