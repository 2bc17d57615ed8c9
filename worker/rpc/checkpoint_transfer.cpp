#include "worker/rpc/checkpoint_transfer.h"

#include <utility>

#include "common/wire/checkpoint.h"
#include "common/wire/convert.h"
#include "worker/rpc/keep_trying.h"

namespace overwinter::worker {
namespace {

// Sendings of one checkpoint from its beginning: a coordinator that restarts more often than that
// during one upload has other trouble.
constexpr int kSendingsMax = 5;

}  // namespace

Status CheckpointTransfer::keep_trying(const CheckpointAccess& access, const std::stop_token& stop,
                                       const Attempt& attempt) const {
  return worker::keep_trying({setting_.first_pause, setting_.longest_pause,
                              access.seat.job.value() * 31 + access.seat.number},
                             stop, [&] {
                               const auto client = setting_.client();
                               return client ? attempt(*client)
                                             : error(Code::kUnavailable, "not connected");
                             });
}

Status CheckpointTransfer::send(const CheckpointAccess& access, std::uint64_t step,
                                std::uint64_t total_bytes, std::span<const CheckpointFile> part,
                                const std::filesystem::path& folder, std::stop_token stop) {
  for (int sending = 1;; ++sending) {
    Status status = keep_trying(access, stop, [&](CheckpointClient& client) {
      v1::BeginCheckpointRequest request;
      request.set_capability(access.capability());
      *request.mutable_seat() = wire::to_proto(access.seat);
      request.set_step(step);
      request.set_total_bytes(total_bytes);
      return client.begin(request, stop);
    });
    if (status.code == Code::kAlreadyExists) return Status::success();  // it is stored
    for (auto file = part.begin(); status.ok() && file != part.end(); ++file) {
      status = keep_trying(access, stop, [&](CheckpointClient& client) {
        v1::PutCheckpointFileRequest::Begin begin;
        begin.set_capability(access.capability());
        *begin.mutable_seat() = wire::to_proto(access.seat);
        begin.set_step(step);
        begin.set_size_bytes(file->size_bytes);
        begin.set_digest(to_hex(file->digest));
        return client.put_file(begin, folder / file->name, stop);
      });
    }
    if (status.code != Code::kNotFound || sending == kSendingsMax) return status;
  }
}

Status CheckpointTransfer::commit(const CheckpointAccess& access,
                                  const CheckpointManifest& manifest, std::stop_token stop) {
  v1::CommitCheckpointRequest request = wire::to_commit(manifest);
  *request.mutable_seat() = wire::to_proto(access.seat);
  return keep_trying(access, stop, [&](CheckpointClient& client) {
    request.set_capability(access.capability());
    const auto stored = client.commit(request, stop);
    return stored ? Status::success() : stored.error();
  });
}

Status CheckpointTransfer::store(const CheckpointAccess& access, const CheckpointManifest& manifest,
                                 const std::filesystem::path& folder, std::stop_token stop) {
  if (Status status = check_checkpoint(manifest); !status.ok()) return status;
  for (int sending = 1;; ++sending) {
    Status status =
        send(access, manifest.step, manifest.total_bytes(), manifest.files, folder, stop);
    if (status.ok()) status = commit(access, manifest, stop);
    if (status.code != Code::kNotFound || sending == kSendingsMax) return status;
  }
}

Result<RestoredCheckpoint> CheckpointTransfer::restore(const CheckpointAccess& access,
                                                       const std::filesystem::path& folder,
                                                       std::stop_token stop) {
  v1::GetLastCheckpointResponse last;
  Status status = keep_trying(access, stop, [&](CheckpointClient& client) {
    v1::GetLastCheckpointRequest request;
    request.set_capability(access.capability());
    *request.mutable_seat() = wire::to_proto(access.seat);
    auto answer = client.last(request, stop);
    if (!answer) return std::move(answer.error());
    last = std::move(*answer);
    return Status::success();
  });
  if (!status.ok()) return fail(std::move(status));
  RestoredCheckpoint out;
  for (const auto& skipped : last.skipped()) out.skipped.push_back(skipped.reason());
  if (!last.has_checkpoint()) return out;
  auto manifest = wire::from_proto(last.checkpoint(), access.seat.job);
  if (!manifest) return fail(std::move(manifest.error()));
  for (const CheckpointFile& file : manifest->files) {
    status = keep_trying(access, stop, [&](CheckpointClient& client) {
      v1::ReadCheckpointFileRequest request;
      request.set_capability(access.capability());
      *request.mutable_seat() = wire::to_proto(access.seat);
      request.set_attempt(manifest->attempt);
      request.set_step(manifest->step);
      request.set_name(file.name);
      return client.read_file(request, file, folder, stop);
    });
    if (!status.ok()) return fail(std::move(status));
  }
  out.manifest = std::move(*manifest);
  return out;
}

}  // namespace overwinter::worker
