// CheckpointService for workers: what an attempt writes, and what the next one reads.
#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/wire/checkpoint.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/blob_source.h"
#include "coordinator/rpc/byte_stream.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/runtime/checkpoint_retention.h"
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
      verifier.verify(request.capability(), std::to_string(worker.value()), context.now());
  if (!capability) return fail(capability.error());
  if (!capability->write_tiles || capability->job != std::to_string(seat->job.value()) ||
      capability->attempt != seat->attempt) {
    return fail(Code::kPermissionDenied, "this capability is not for that attempt", "capability");
  }
  auto job = context.views.job(seat->job);
  const bool holds = job && std::any_of(job->seats.begin(), job->seats.end(), [&](const auto& own) {
                       return own.seat == *seat && own.worker == worker;
                     });
  if (!holds) return fail(Code::kAborted, "the seat has ended", "seat");
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

// A piece is read, written by the pool, and only then is the next one read; so nothing here is
// locked: one step follows the other.
class PutFile final : public grpc::ServerReadReactor<v1::PutCheckpointFileRequest> {
 public:
  PutFile(ServiceContext& context, artifacts::CheckpointStore& checkpoints,
          const CapabilityVerifier& verifier, Principal caller)
      : context_(context),
        checkpoints_(checkpoints),
        verifier_(verifier),
        caller_(std::move(caller)) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    const auto task = [this, ok] { ok ? take() : complete(); };
    if (upload_) return context_.pool.run_vital(runtime::Work::kTile, task);
    if (const Status taken = context_.pool.run(runtime::Work::kTile, task); !taken.ok()) {
      Finish(to_grpc(taken));
    }
  }
  void OnDone() override { delete this; }

 private:
  void take() {
    if (!upload_) return begin();
    if (!message_.has_data()) {
      return end(error(Code::kInvalidArgument, "a file begins once", "begin"));
    }
    const std::string& data = message_.data();
    const Status status =
        upload_->write(std::as_bytes(std::span(data.data(), data.size())), context_.now());
    if (!status.ok()) return end(status);
    StartRead(&message_);
  }

  void begin() {
    if (!message_.has_begin()) {
      return end(error(Code::kInvalidArgument, "the first message names the file", "begin"));
    }
    const auto& asked = message_.begin();
    const auto holder = find_holder(context_, verifier_, caller_, asked);
    if (!holder) return end(holder.error());
    const auto digest = parse_digest(asked.digest());
    if (!digest) return end(digest.error());
    auto upload = checkpoints_.begin_file(holder->seat.job, {holder->seat.attempt, asked.step()},
                                          *digest, asked.size_bytes(), context_.now());
    // It has arrived: what is done is done.
    if (!upload && upload.error().code == Code::kAlreadyExists) return end(Status::success());
    if (!upload) return end(upload.error());
    upload_ = std::move(*upload);
    StartRead(&message_);
  }

  void complete() {
    if (!upload_) return end(error(Code::kInvalidArgument, "the file has no beginning", "begin"));
    end(upload_->finish());
  }

  void end(const Status& status) {
    upload_.reset();  // what is not whole is removed, here on the pool
    runtime::end_if_disk_failed(status);
    Finish(to_grpc(status));
  }

  ServiceContext& context_;
  artifacts::CheckpointStore& checkpoints_;
  const CapabilityVerifier& verifier_;
  const Principal caller_;
  v1::PutCheckpointFileRequest message_;
  std::unique_ptr<artifacts::CheckpointUpload> upload_;
};

class RefusedPut final : public grpc::ServerReadReactor<v1::PutCheckpointFileRequest> {
 public:
  explicit RefusedPut(const Status& status) { Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
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
  if (!caller) return new RefusedPut(caller.error());
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
