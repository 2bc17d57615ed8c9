#include "common/wire/checkpoint.h"

#include <utility>

#include "common/wire/convert.h"

namespace overwinter::wire {
namespace {

// An exec job's checkpoint has no digest of parameters.
Result<Digest> parameters_of(const std::string& text) {
  if (text.empty()) return Digest{};
  Result<Digest> digest = parse_digest(text);
  if (!digest) return fail(Code::kInvalidArgument, digest.error().message, "parameters_digest");
  return digest;
}

std::string parameters_text(const Digest& digest) {
  return digest == Digest{} ? std::string() : to_hex(digest);
}

Status read_files(const google::protobuf::RepeatedPtrField<v1::CheckpointFile>& files,
                  CheckpointManifest& out) {
  if (static_cast<std::size_t>(files.size()) > kCheckpointFilesMax)
    return error(Code::kInvalidArgument, "a checkpoint has too many files", "files");
  for (const auto& message : files) {
    Result<CheckpointFile> file = from_proto(message);
    if (!file) return std::move(file.error());
    out.files.push_back(std::move(*file));
  }
  return check_checkpoint(out);
}

}  // namespace

v1::CheckpointFile to_proto(const CheckpointFile& file) {
  v1::CheckpointFile out;
  out.set_name(file.name);
  out.set_size_bytes(file.size_bytes);
  out.set_digest(to_hex(file.digest));
  out.set_kind(static_cast<v1::CheckpointFile::Kind>(file.kind));
  return out;
}

Result<CheckpointFile> from_proto(const v1::CheckpointFile& file) {
  const Result<Digest> digest = parse_digest(file.digest());
  if (!digest) return fail(Code::kInvalidArgument, digest.error().message, "files.digest");
  if (file.kind() < v1::CheckpointFile::WEIGHTS || file.kind() > v1::CheckpointFile::USER_FILE)
    return fail(Code::kInvalidArgument, "a file of a checkpoint has an unknown kind", "files.kind");
  return CheckpointFile{file.name(), file.size_bytes(), *digest,
                        static_cast<CheckpointFileKind>(file.kind())};
}

v1::Checkpoint to_proto(const CheckpointManifest& manifest, std::string name, bool with_files) {
  v1::Checkpoint out;
  out.set_name(std::move(name));
  out.set_attempt(manifest.attempt);
  out.set_step(manifest.step);
  out.set_world_size(manifest.world_size);
  out.set_data_position(manifest.data_position);
  if (manifest.loss) out.set_loss(*manifest.loss);
  *out.mutable_create_time() = to_proto(manifest.stored);
  out.set_size_bytes(manifest.total_bytes());
  out.set_parameters_digest(parameters_text(manifest.parameters));
  if (!with_files) return out;
  for (const CheckpointFile& file : manifest.files) *out.add_files() = to_proto(file);
  return out;
}

v1::CommitCheckpointRequest to_commit(const CheckpointManifest& manifest) {
  v1::CommitCheckpointRequest out;
  out.set_step(manifest.step);
  out.set_world_size(manifest.world_size);
  out.set_data_position(manifest.data_position);
  if (manifest.loss) out.set_loss(*manifest.loss);
  out.set_parameters_digest(parameters_text(manifest.parameters));
  for (const CheckpointFile& file : manifest.files) *out.add_files() = to_proto(file);
  return out;
}

Result<CheckpointManifest> from_commit(const v1::CommitCheckpointRequest& request,
                                       const SeatKey& seat) {
  CheckpointManifest out;
  out.job = seat.job;
  out.attempt = seat.attempt;
  out.step = request.step();
  out.world_size = request.world_size();
  out.data_position = request.data_position();
  if (request.has_loss()) out.loss = request.loss();
  const Result<Digest> parameters = parameters_of(request.parameters_digest());
  if (!parameters) return fail(parameters.error());
  out.parameters = *parameters;
  if (Status status = read_files(request.files(), out); !status.ok())
    return fail(std::move(status));
  return out;
}

Result<CheckpointManifest> from_proto(const v1::Checkpoint& checkpoint, JobId job) {
  CheckpointManifest out;
  out.job = job;
  out.attempt = checkpoint.attempt();
  out.step = checkpoint.step();
  out.world_size = checkpoint.world_size();
  out.data_position = checkpoint.data_position();
  if (checkpoint.has_loss()) out.loss = checkpoint.loss();
  out.stored = from_proto(checkpoint.create_time());
  const Result<Digest> parameters = parameters_of(checkpoint.parameters_digest());
  if (!parameters) return fail(parameters.error());
  out.parameters = *parameters;
  if (Status status = read_files(checkpoint.files(), out); !status.ok())
    return fail(std::move(status));
  return out;
}

}  // namespace overwinter::wire
