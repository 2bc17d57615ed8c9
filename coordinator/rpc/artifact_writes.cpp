// ArtifactService: what is written. Uploads of people, tiles of workers.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/rpc/artifact_service.h"

namespace overwinter::rpc {
namespace {

std::span<const std::byte> bytes_of(const std::string& data) {
  return {reinterpret_cast<const std::byte*>(data.data()), data.size()};
}

// A piece is read, written by the pool, and only then is the next one read. The call is not
// finished while the pool works on it, so nothing here is locked: one step follows the other.
class Upload final : public grpc::ServerReadReactor<v1::UploadArtifactRequest> {
 public:
  Upload(ServiceContext& context, Principal caller, v1::UploadArtifactResponse* response)
      : context_(context), caller_(std::move(caller)), response_(response) {
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    const auto task = [this, ok] { ok ? take() : complete(); };
    if (upload_) return context_.pool.run_vital(runtime::Work::kUpload, task);
    if (const Status taken = context_.pool.run(runtime::Work::kUpload, task); !taken.ok()) {
      Finish(to_grpc(taken));
    }
  }
  void OnDone() override { delete this; }

 private:
  void take() {
    if (!upload_) return begin();
    if (!message_.has_data()) {
      return end(error(Code::kInvalidArgument, "an upload begins once", "begin"));
    }
    if (Status status = upload_->write(bytes_of(message_.data()), context_.now()); !status.ok()) {
      return end(status);
    }
    StartRead(&message_);
  }

  void begin() {
    if (!message_.has_begin()) {
      return end(error(Code::kInvalidArgument, "the first message names the blob", "begin"));
    }
    const auto& asked = message_.begin();
    const std::string project = project_of(caller_, asked.project());
    if (Status status = check_project(context_, caller_, project); !status.ok()) {
      return end(status);
    }
    const auto digest = parse_digest(asked.digest());
    if (!digest) return end(digest.error());
    if (Status status = context_.disk_room(); !status.ok()) return end(status);
    uri_ = runtime::artifact_uri(*digest);
    context_.blobs.sweep(context_.now());
    auto upload =
        context_.blobs.begin_upload({project, *digest}, asked.size_bytes(), context_.now());
    if (!upload && upload.error().code == Code::kAlreadyExists) {
      response_->set_uri(uri_);
      return end(Status::success());
    }
    if (!upload) return end(upload.error());
    upload_ = std::move(*upload);
    StartRead(&message_);
  }

  void complete() {
    if (!upload_) return end(error(Code::kInvalidArgument, "the upload has no content", "begin"));
    const Status status = upload_->finish();
    if (status.ok()) response_->set_uri(uri_);
    end(status);
  }

  void end(const Status& status) {
    upload_.reset();  // what is not whole is removed, here on the pool
    Finish(to_grpc(status));
  }

  ServiceContext& context_;
  const Principal caller_;
  v1::UploadArtifactResponse* const response_;
  v1::UploadArtifactRequest message_;
  std::string uri_;
  std::unique_ptr<artifacts::BlobUpload> upload_;
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
    if (Status status = check_capability(asked.capability(), *seat); !status.ok()) {
      return end(status);
    }
    if (!holds(*seat)) return answer(v1::PutTileResponse::STALE, "the seat has ended");
    tiles_.begin({*seat, worker_, asked.unit()}, asked.size_bytes(),
                 [this](Result<artifacts::TileBuffer> buffer) { got_room(std::move(buffer)); });
  }

  Status check_capability(const std::string& text, const SeatKey& seat) const {
    const auto capability = verifier_.verify(text, std::to_string(worker_.value()), context_.now());
    if (!capability) return capability.error();
    if (capability->write_tiles && capability->job == std::to_string(seat.job.value()) &&
        capability->attempt == seat.attempt) {
      return Status::success();
    }
    return error(Code::kPermissionDenied, "this capability is not for tiles of that attempt");
  }

  [[nodiscard]] bool holds(const SeatKey& seat) const {
    const auto job = context_.views.job(seat.job);
    return job && std::any_of(job->seats.begin(), job->seats.end(), [&](const auto& held) {
             return held.seat == seat && held.worker == worker_;
           });
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

template <class Request>
class RefusedRead final : public grpc::ServerReadReactor<Request> {
 public:
  explicit RefusedRead(const Status& status) { this->Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerReadReactor<v1::UploadArtifactRequest>* ArtifactService::UploadArtifact(
    grpc::CallbackServerContext* call, v1::UploadArtifactResponse* response) {
  auto caller = context_.authorizer->caller(*call, Permission::kSubmitJobs);
  if (!caller) return new RefusedRead<v1::UploadArtifactRequest>(caller.error());
  return new Upload(context_, std::move(*caller), response);
}

grpc::ServerReadReactor<v1::PutTileRequest>* ArtifactService::PutTile(
    grpc::CallbackServerContext* call, v1::PutTileResponse* response) {
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability);
  if (!caller) return new RefusedRead<v1::PutTileRequest>(caller.error());
  return new PutTileCall(context_, tiles_, verifier_, WorkerId(caller->id), response);
}

}  // namespace overwinter::rpc
