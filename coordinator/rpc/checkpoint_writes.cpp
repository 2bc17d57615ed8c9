// CheckpointService for workers: what an attempt writes, and what the next one reads.
#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/wire/checkpoint.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/blob_source.h"
#include "coordinator/rpc/byte_stream.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/pooled_upload.h"
#include "coordinator/rpc/seat_access.h"
#include "coordinator/runtime/disk_failed.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::rpc {
namespace {

constexpr std::uint32_t kKeepUnsaid = 3;

struct Holder {
  SeatKey seat;
  runtime::JobViewPtr job;
  WorkerId worker;
};

// Who may: the holder of a capability for that attempt, which holds the seat.
template <class Request>
Result<Holder> find_holder(const ServiceContext& context, const CapabilityVerifier& verifier,
                           const Principal& caller, const Request& request) {
  const auto seat = wire::from_proto(request.seat());
  if (!seat) return fail(seat.error());
  const WorkerId worker(caller.id);
  const auto capability =
      seat_capability(verifier, request.capability(), worker, *seat, context.now());
  if (!capability) return fail(capability.error());
  if (!capability->write_tiles) {
    return fail(Code::kPermissionDenied, "this capability only reads", "capability");
  }
  auto job = job_of_held_seat(context.views, worker, *seat);
  if (!job) return fail(Code::kAborted, "the seat has ended", "seat");
  return Holder{*seat, std::move(job), worker};
}

std::uint32_t keep_of(const runtime::JobView& job) {
  v1::JobSpec spec;
  if (!job.spec || !spec.ParseFromString(*job.spec)) return kKeepUnsaid;
  return spec.checkpoint().keep() == 0 ? kKeepUnsaid : spec.checkpoint().keep();
}

// Ends the call with what `answer(caller)` says, on the pool.
template <class Answer>
grpc::ServerUnaryReactor* answer_peer(ServiceContext& context, grpc::CallbackServerContext* call,
                                      runtime::Work work, Answer answer) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok()) {
    status = context.pool.run(work, [caller = *caller, reactor, answer = std::move(answer)] {
      const Status answered = answer(caller);
      runtime::end_if_disk_failed(answered);
      finish(reactor, answered);
    });
  }
  if (!status.ok()) finish(reactor, status);
  return reactor;
}

class PutFile final
    : public PooledUpload<v1::PutCheckpointFileRequest, artifacts::CheckpointUpload> {
 public:
  PutFile(ServiceContext& context, artifacts::CheckpointStore& checkpoints,
          const CapabilityVerifier& verifier, Principal caller)
      : PooledUpload(context, runtime::Work::kTile),
        checkpoints_(checkpoints),
        verifier_(verifier),
        caller_(std::move(caller)) {}

 private:
  Result<std::unique_ptr<artifacts::CheckpointUpload>> open(
      const v1::PutCheckpointFileRequest& first) override {
    const auto& asked = first.begin();
    const auto holder = find_holder(context_, verifier_, caller_, asked);
    if (!holder) return fail(holder.error());
    const auto digest = parse_digest(asked.digest());
    if (!digest) return fail(digest.error());
    auto upload = checkpoints_.begin_file(holder->seat.job, {holder->seat.attempt, asked.step()},
                                          *digest, asked.size_bytes(), context_.now());
    // It has arrived: what is done is done.
    if (!upload && upload.error().code == Code::kAlreadyExists) return nullptr;
    return upload;
  }
  void ends(const Status& status) override { runtime::end_if_disk_failed(status); }

  artifacts::CheckpointStore& checkpoints_;
  const CapabilityVerifier& verifier_;
  const Principal caller_;
};

}  // namespace

CheckpointService::Unary* CheckpointService::BeginCheckpoint(
    Call* call, const v1::BeginCheckpointRequest* request,
    v1::BeginCheckpointResponse* /*response*/) {
  return answer_peer(
      context_, call, runtime::Work::kTile, [this, request](const Principal& caller) -> Status {
        const auto holder = find_holder(context_, verifier_, caller, *request);
        if (!holder) return holder.error();
        checkpoints_.sweep(context_.now());
        return checkpoints_.begin(holder->seat.job, {holder->seat.attempt, request->step()},
                                  request->total_bytes(), context_.now());
      });
}

grpc::ServerReadReactor<v1::PutCheckpointFileRequest>* CheckpointService::PutCheckpointFile(
    Call* call, v1::PutCheckpointFileResponse* /*response*/) {
  auto caller = context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  if (!caller) return new RefusedUpload<v1::PutCheckpointFileRequest>(caller.error());
  return new PutFile(context_, checkpoints_, verifier_, std::move(*caller));
}

CheckpointService::Unary* CheckpointService::CommitCheckpoint(
    Call* call, const v1::CommitCheckpointRequest* request, v1::Checkpoint* response) {
  return answer_peer(
      context_, call, runtime::Work::kTile,
      [this, request, response](const Principal& caller) -> Status {
        const auto holder = find_holder(context_, verifier_, caller, *request);
        if (!holder) return holder.error();
        auto manifest = wire::from_commit(*request, holder->seat);
        if (!manifest) return manifest.error();
        const auto stored =
            checkpoints_.commit(std::move(*manifest), keep_of(*holder->job), context_.now());
        if (!stored) return stored.error();
        log_info("job {} has a checkpoint at step {} of attempt {}: {} in {} files",
                 holder->job->name, stored->step, stored->attempt,
                 format_bytes(stored->total_bytes()), stored->files.size());
        if (stored_) stored_(*stored);
        *response = wire::to_proto(*stored, checkpoint_resource_name(*holder->job, stored->step));
        return Status::success();
      });
}

CheckpointService::Unary* CheckpointService::GetLastCheckpoint(
    Call* call, const v1::GetLastCheckpointRequest* request,
    v1::GetLastCheckpointResponse* response) {
  return answer_peer(
      context_, call, runtime::Work::kCheck,
      [this, request, response](const Principal& caller) -> Status {
        const auto holder = find_holder(context_, verifier_, caller, *request);
        if (!holder) return holder.error();
        const auto last = checkpoints_.last_good(holder->seat.job);
        if (!last) return last.error();
        for (const auto& skipped : last->skipped) {
          log_error("job {} cannot go on from its checkpoint at step {} of attempt {}: {}",
                    holder->job->name, skipped.key.step, skipped.key.attempt, skipped.why);
          auto& out = *response->add_skipped();
          out.set_attempt(skipped.key.attempt);
          out.set_step(skipped.key.step);
          out.set_reason(skipped.why);
        }
        if (!last->manifest) return Status::success();
        *response->mutable_checkpoint() = wire::to_proto(
            *last->manifest, checkpoint_resource_name(*holder->job, last->manifest->step));
        return Status::success();
      });
}

grpc::ServerWriteReactor<v1::ReadCheckpointFileResponse>* CheckpointService::ReadCheckpointFile(
    Call* call, const v1::ReadCheckpointFileRequest* request) {
  using Response = v1::ReadCheckpointFileResponse;
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  if (!caller) return new RefusedStream<Response>(caller.error());
  const auto holder = find_holder(context_, verifier_, *caller, *request);
  if (!holder) return new RefusedStream<Response>(holder.error());
  return new ByteStream<Response>(
      context_, *caller,
      [this, job = holder->seat.job,
       asked = *request](Response& first) -> Result<std::unique_ptr<ByteSource>> {
        auto blob = checkpoints_.open_file(job, {asked.attempt(), asked.step()}, asked.name());
        if (!blob) return fail(blob.error());
        first.set_size_bytes(blob->size_bytes);
        return std::make_unique<BlobSource>(std::move(*blob));
      });
}

}  // namespace overwinter::rpc
