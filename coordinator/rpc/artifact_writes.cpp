// ArtifactService: what is written. Uploads of people, tiles of workers.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/pooled_upload.h"
#include "coordinator/rpc/seat_access.h"

namespace overwinter::rpc {
namespace {

std::span<const std::byte> bytes_of(const std::string& data) {
  return {reinterpret_cast<const std::byte*>(data.data()), data.size()};
}

class Upload final : public PooledUpload<v1::UploadArtifactRequest, artifacts::BlobUpload> {
 public:
  Upload(ServiceContext& context, Principal caller, v1::UploadArtifactResponse* response)
      : PooledUpload(context, runtime::Work::kUpload),
        caller_(std::move(caller)),
        response_(response) {}

 private:
  Result<std::unique_ptr<artifacts::BlobUpload>> open(
      const v1::UploadArtifactRequest& first) override {
    const auto& asked = first.begin();
    const std::string project = project_of(caller_, asked.project());
    if (Status status = check_project(context_, caller_, project); !status.ok()) {
      return fail(std::move(status));
    }
    const auto digest = parse_digest(asked.digest());
    if (!digest) return fail(digest.error());
    if (Status status = context_.disk_room(); !status.ok()) return fail(std::move(status));
    uri_ = runtime::artifact_uri(*digest);
    context_.blobs.sweep(context_.now());
    auto upload =
        context_.blobs.begin_upload({project, *digest}, asked.size_bytes(), context_.now());
    if (!upload && upload.error().code == Code::kAlreadyExists) return nullptr;
    return upload;
  }
  void ends(const Status& status) override {
    if (status.ok()) response_->set_uri(uri_);
  }

  const Principal caller_;
  v1::UploadArtifactResponse* const response_;
  std::string uri_;
};

class PutTileCall final : public grpc::ServerReadReactor<v1::PutTileRequest> {
 public:
  PutTileCall(ServiceContext& context, runtime::TileIntake& tiles,
              const CapabilityVerifier& verifier, WorkerId worker, v1::PutTileResponse* response)
      : context_(context),
        tiles_(tiles),
        verifier_(verifier),
        worker_(worker),
        response_(response) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return complete();
    if (!buffer_) return begin();
    if (!message_.has_data()) {
      return end(error(Code::kInvalidArgument, "a tile begins once", "begin"));
    }
    if (Status status = buffer_->append(bytes_of(message_.data())); !status.ok()) {
      return end(status);
    }
    StartRead(&message_);
  }
  void OnDone() override { delete this; }

 private:
  void begin() {
    if (!message_.has_begin()) {
      return end(error(Code::kInvalidArgument, "the first message names the tile", "begin"));
    }
    const auto& asked = message_.begin();
    const auto seat = wire::from_proto(asked.seat());
    if (!seat) return end(seat.error());
    const auto capability =
        seat_capability(verifier_, asked.capability(), worker_, *seat, context_.now());
    if (!capability) return end(capability.error());
    if (!capability->write_tiles) {
      return end(error(Code::kPermissionDenied, "this capability is not for tiles", "capability"));
    }
    if (!job_of_held_seat(context_.views, worker_, *seat)) {
      return answer(v1::PutTileResponse::STALE, "the seat has ended");
    }
    tiles_.begin({*seat, worker_, asked.unit()}, asked.size_bytes(),
                 [this](Result<artifacts::TileBuffer> buffer) { got_room(std::move(buffer)); });
  }

  void got_room(Result<artifacts::TileBuffer> buffer) {
    if (buffer) {
      buffer_ = std::move(*buffer);
      StartRead(&message_);
    } else if (buffer.error().code == Code::kAlreadyExists) {
      answer(v1::PutTileResponse::REPEATED, "the unit is done already");
    } else if (buffer.error().code == Code::kNotFound) {
      answer(v1::PutTileResponse::STALE, buffer.error().message);
    } else {
      end(buffer.error());
    }
  }

  void complete() {
    if (!buffer_ || !buffer_->full()) {
      return end(error(Code::kInvalidArgument, "the tile is shorter than announced", "data"));
    }
    artifacts::TileBuffer tile = std::move(*buffer_);
    buffer_.reset();
    tiles_.land(std::move(tile), [this](const Result<artifacts::TileAnswer>& answered) {
      if (!answered) return end(answered.error());
      answer(static_cast<v1::PutTileResponse::Outcome>(answered->outcome), answered->message);
    });
  }

  void answer(v1::PutTileResponse::Outcome outcome, const std::string& message) {
    response_->set_outcome(outcome);
    response_->set_message(message);
    end(Status::success());
  }
  void end(const Status& status) {
    buffer_.reset();
    Finish(to_grpc(status));
  }

  ServiceContext& context_;
  runtime::TileIntake& tiles_;
  const CapabilityVerifier& verifier_;
  const WorkerId worker_;
  v1::PutTileResponse* const response_;
  v1::PutTileRequest message_;
  std::optional<artifacts::TileBuffer> buffer_;
};

}  // namespace

grpc::ServerReadReactor<v1::UploadArtifactRequest>* ArtifactService::UploadArtifact(
    grpc::CallbackServerContext* call, v1::UploadArtifactResponse* response) {
  auto caller = context_.authorizer->caller(*call, Permission::kSubmitJobs);
  if (!caller) return new RefusedUpload<v1::UploadArtifactRequest>(caller.error());
  return new Upload(context_, std::move(*caller), response);
}

grpc::ServerReadReactor<v1::PutTileRequest>* ArtifactService::PutTile(
    grpc::CallbackServerContext* call, v1::PutTileResponse* response) {
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  if (!caller) return new RefusedUpload<v1::PutTileRequest>(caller.error());
  return new PutTileCall(context_, tiles_, verifier_, WorkerId(caller->id), response);
}

}  // namespace overwinter::rpc
