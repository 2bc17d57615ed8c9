#include "common/rpc/checkpoint_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/rpc/channel.h"
#include "common/rpc/checked_file.h"
#include "common/rpc/sent_file.h"
#include "common/wire/checkpoint.h"
#include "common/wire/status_grpc.h"
#include "overwinter/v1/checkpoint.grpc.pb.h"

namespace overwinter {
namespace {

using Stub = v1::CheckpointService::Stub;

// Takes the messages of a download apart.
class Receiver {
 public:
  Receiver(const std::filesystem::path& folder, const TransferProgress& progress)
      : folder_(folder), progress_(progress) {}

  Status take(const v1::DownloadCheckpointResponse& message) {
    if (message.has_begin()) {
      if (Status status = begin(message.begin()); !status.ok()) return status;
    }
    if (!file_) {
      return message.data().empty()
                 ? Status::success()
                 : error(Code::kDataLoss, "the download begins with no file's name");
    }
    if (Status status = file_->write(message.data()); !status.ok()) return status;
    done_ += message.data().size();
    if (progress_) progress_(done_, total_);
    return Status::success();
  }
  Status end_file() {
    if (!file_) return Status::success();
    Status status = file_->finish();
    file_.reset();
    return status;
  }
  std::vector<CheckpointFile> files;

 private:
  Status begin(const v1::DownloadCheckpointResponse::Begin& begin) {
    if (Status status = end_file(); !status.ok()) return status;
    if (files.size() >= kCheckpointFilesMax)
      return error(Code::kDataLoss, "the download has more files than a checkpoint");
    auto file = wire::from_proto(begin.file());
    if (!file) return std::move(file.error());
    auto opened = CheckedFile::create(folder_, *file);
    if (!opened) return std::move(opened.error());
    file_ = std::move(*opened);
    if (files.empty()) total_ = begin.total_bytes();
    files.push_back(std::move(*file));
    return Status::success();
  }

  const std::filesystem::path& folder_;
  const TransferProgress& progress_;
  std::unique_ptr<CheckedFile> file_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

struct CheckpointClient::Impl {
  std::unique_ptr<Stub> stub;
  ArtifactClientOptions options;

  void prepare(grpc::ClientContext& context, Duration timeout) const {
    if (options.prepare) options.prepare(context);
    set_deadline(context, timeout);
  }
  template <class Request, class Response>
  Status call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, Response& response, Duration timeout,
              const std::stop_token& stop) const {
    grpc::ClientContext context;
    prepare(context, timeout);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    return finished_transfer(((*stub).*method)(&context, request, &response), stop);
  }
};

CheckpointClient::CheckpointClient(std::shared_ptr<grpc::Channel> channel,
                                   ArtifactClientOptions options)
    : impl_(std::make_unique<Impl>()) {
  impl_->stub = v1::CheckpointService::NewStub(channel);
  impl_->options = std::move(options);
}

CheckpointClient::~CheckpointClient() = default;

Status CheckpointClient::begin(const v1::BeginCheckpointRequest& request, std::stop_token stop) {
  v1::BeginCheckpointResponse response;
  return impl_->call(&Stub::BeginCheckpoint, request, response, impl_->options.call_timeout, stop);
}

Status CheckpointClient::put_file(const v1::PutCheckpointFileRequest::Begin& begin,
                                  const std::filesystem::path& path, std::stop_token stop) {
  auto file = SentFile::open(path);
  // Not NOT_FOUND: that is said of a checkpoint which has to be begun again.
  if (!file) return error(Code::kFailedPrecondition, file.error().message);
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::PutCheckpointFileResponse response;
  auto writer = impl_->stub->PutCheckpointFile(&context, &response);
  v1::PutCheckpointFileRequest request;
  *request.mutable_begin() = begin;
  return send_file(context, *writer, request, **file, begin.size_bytes(), {}, stop);
}

Result<v1::Checkpoint> CheckpointClient::commit(const v1::CommitCheckpointRequest& request,
                                                std::stop_token stop) {
  v1::Checkpoint response;
  Status status =
      impl_->call(&Stub::CommitCheckpoint, request, response, impl_->options.call_timeout, stop);
  if (!status.ok()) return fail(std::move(status));
  return response;
}

Result<v1::GetLastCheckpointResponse> CheckpointClient::last(
    const v1::GetLastCheckpointRequest& request, std::stop_token stop) {
  v1::GetLastCheckpointResponse response;
  // It reads the whole checkpoint before it answers.
  Status status = impl_->call(&Stub::GetLastCheckpoint, request, response,
                              impl_->options.transfer_timeout, stop);
  if (!status.ok()) return fail(std::move(status));
  return response;
}

Status CheckpointClient::read_file(const v1::ReadCheckpointFileRequest& request,
                                   const CheckpointFile& file, const std::filesystem::path& folder,
                                   std::stop_token stop) {
  auto place = CheckedFile::create(folder, file);
  if (!place) return std::move(place.error());
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = impl_->stub->ReadCheckpointFile(&context, request);
  v1::ReadCheckpointFileResponse message;
  Status local;
  while (local.ok() && reader->Read(&message)) local = (*place)->write(message.data());
  if (!local.ok()) context.TryCancel();
  Status status = finished_transfer(reader->Finish(), stop);
  if (!local.ok()) return local;
  return status.ok() ? (*place)->finish() : status;
}

Result<std::vector<CheckpointFile>> CheckpointClient::download(
    const v1::DownloadCheckpointRequest& request, const std::filesystem::path& folder,
    const TransferProgress& progress, std::stop_token stop) {
  grpc::ClientContext context;
  impl_->prepare(context, impl_->options.transfer_timeout);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  auto reader = impl_->stub->DownloadCheckpoint(&context, request);
  Receiver receiver(folder, progress);
  v1::DownloadCheckpointResponse message;
  Status local;
  while (local.ok() && reader->Read(&message)) local = receiver.take(message);
  if (!local.ok()) context.TryCancel();
  Status status = finished_transfer(reader->Finish(), stop);
  if (!local.ok()) return fail(std::move(local));
  if (!status.ok()) return fail(std::move(status));
  if (Status last = receiver.end_file(); !last.ok()) return fail(std::move(last));
  return std::move(receiver.files);
}

}  // namespace overwinter
