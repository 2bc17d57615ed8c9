// The coordinator's folder: its store, what it keeps beside it, its first token.
#include <future>

#include "common/security/file_io.h"
#include "common/security/token.h"
#include "coordinator/app/admin_token.h"
#include "coordinator/app/coordinator_impl.h"
#include "coordinator/artifacts/artifact_folder.h"
#include "coordinator/runtime/checkpoint_retention.h"

namespace overwinter::app {
namespace {

constexpr std::uint64_t kDiskKeptForUploads = 256 * kMiB;
constexpr std::uint64_t kDiskKeptForResults = 128 * kMiB;
constexpr std::size_t kTokenFileBytesMax = 4096;

// Asks the loop and waits; at the start alone, before anybody else can.
template <class E>
core::Reply ask_and_wait(runtime::Requests& requests, E event) {
  std::promise<core::Reply> promise;
  auto answer = promise.get_future();
  requests.ask(std::move(event),
               [&promise](const core::Reply& reply) { promise.set_value(reply); });
  return answer.get();
}

}  // namespace

Status Coordinator::Impl::restore() {
  auto state = store->restore();
  if (!state) return state.error();
  restored = std::move(*state);
  sink.emplace(*store);
  return Status::success();
}

Status Coordinator::Impl::open_artifacts() {
  const std::string root = folder.artifacts().string();
  if (Status status = artifacts::open_artifact_folder(artifacts::posix_files(), root);
      !status.ok()) {
    return status;
  }
  auto held = artifacts::HeldFiles::open(artifacts::posix_files(), root);
  if (!held) return held.error();
  files = std::move(*held);
  artifacts::BlobStoreConfig blob_config;
  blob_config.free_bytes_min = kDiskKeptForUploads;
  auto opened = artifacts::BlobStore::open(*files, root, blob_config);
  if (!opened) return opened.error();
  blobs = std::move(*opened);
  artifacts::ResultStoreConfig result_config;
  result_config.free_bytes_min = kDiskKeptForResults;
  auto opened_results = artifacts::ResultStore::open(*files, root, result_config);
  if (!opened_results) return opened_results.error();
  results = std::move(*opened_results);
  if (Status status = runtime::remove_orphans(*results, restored, store->history()); !status.ok()) {
    return status;
  }
  artifacts::CheckpointStoreConfig checkpoint_config;
  checkpoint_config.free_bytes_min = kDiskKeptForResults;
  auto opened_checkpoints = artifacts::CheckpointStore::open(*files, root, checkpoint_config);
  if (!opened_checkpoints) return opened_checkpoints.error();
  checkpoints = std::move(*opened_checkpoints);
  return runtime::remove_orphans(*checkpoints, restored, store->history());
}

Status Coordinator::Impl::open_archives() {
  artifacts::JobArchivesConfig archives_config;
  archives_config.free_bytes_min = kDiskKeptForResults;
  auto opened = artifacts::JobArchives::open(*files, folder.artifacts().string(), archives_config);
  if (!opened) return opened.error();
  archives = std::move(*opened);
  return runtime::remove_orphans(*archives, restored, store->history());
}

Status Coordinator::Impl::open_secrets() {
  auto opened = secrets::SecretStore::open(folder.secrets(), folder.secrets_key());
  if (!opened) return opened.error();
  secrets = std::move(*opened);
  return Status::success();
}

Status Coordinator::Impl::open_telemetry() {
  auto opened = telemetry::Telemetry::open(folder.telemetry());
  if (!opened) return opened.error();
  telemetry = std::move(*opened);
  auto opened_audit = telemetry::AuditLog::open(folder.audit());
  if (!opened_audit) return opened_audit.error();
  audit = std::move(*opened_audit);
  return Status::success();
}

// What became durable in the last process's last moments may be in no turn. Known ones change
// nothing.
Status Coordinator::Impl::announce_checkpoints() {
  auto jobs = checkpoints->jobs();
  if (!jobs) return jobs.error();
  for (const JobId job : *jobs) {
    if (const auto newest = checkpoints->get(job, std::nullopt)) tell_core_of(*newest->manifest);
  }
  return Status::success();
}

// The file comes first: a token that nobody holds cannot be left behind by a crash in between.
Status Coordinator::Impl::ensure_admin_token() {
  auto text = read_file(folder.admin_token(), kTokenFileBytesMax);
  std::string token;
  if (text) {
    token = text->substr(0, text->find_first_of("\r\n "));
    if (!looks_like_token(token) || views->token(token_hash(token))) return Status::success();
  } else if (text.error().code == Code::kNotFound && views->tokens().empty()) {
    token = make_token();
    if (Status status = write_file_atomically(folder.admin_token(), token + "\n"); !status.ok()) {
      return status;
    }
  } else {
    return Status::success();  // somebody keeps it elsewhere
  }
  return ask_and_wait(requests, admin_token_event(token)).status;
}

}  // namespace overwinter::app
