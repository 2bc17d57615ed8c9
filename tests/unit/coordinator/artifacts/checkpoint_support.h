// What the tests of the checkpoint store share: a checkpoint with its files' contents.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "coordinator/artifacts/checkpoint_store.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {

struct TestCheckpoint {
  CheckpointManifest manifest;
  std::map<std::string, std::string> contents;  // by file name

  void add(const std::string& name, std::string content, CheckpointFileKind kind) {
    manifest.files.push_back({name, content.size(), digest_of(content), kind});
    contents.emplace(name, std::move(content));
  }
};

// Three files, of several sectors, and of a few bytes; each checkpoint has others.
inline TestCheckpoint a_checkpoint(JobId job, CheckpointKey key) {
  TestCheckpoint made;
  made.manifest.job = job;
  made.manifest.attempt = key.attempt;
  made.manifest.step = key.step;
  made.manifest.world_size = 2;
  made.manifest.data_position = key.step * 16;
  made.manifest.loss = 1.0 / static_cast<double>(key.step + 1);
  const std::uint64_t seed = job.value() * 1'000'000 + key.attempt * 10'000 + key.step;
  made.add("model.safetensors", random_text(1300, seed), CheckpointFileKind::kWeights);
  made.add("rank-0/adam", random_text(9, seed + 1), CheckpointFileKind::kOptimizer);
  made.add("state", random_text(1, seed + 2) + "!", CheckpointFileKind::kState);
  return made;
}

inline Status send_file(CheckpointStore& store, const CheckpointManifest& manifest,
                        const CheckpointFile& file, std::string_view content, Time now,
                        std::size_t piece_bytes = 700) {
  auto upload = store.begin_file(manifest.job, manifest.key(), file.digest, file.size_bytes, now);
  if (!upload && upload.error().code == Code::kAlreadyExists) return Status::success();
  if (!upload) return std::move(upload.error());
  while (!content.empty()) {
    const std::string_view piece = content.substr(0, piece_bytes);
    if (Status status = (*upload)->write(bytes_of(piece), now); !status.ok()) return status;
    content.remove_prefix(piece.size());
  }
  return (*upload)->finish();
}

// All that a worker does for one checkpoint.
inline Status send(CheckpointStore& store, const TestCheckpoint& checkpoint, std::uint32_t keep,
                   Time now) {
  const CheckpointManifest& manifest = checkpoint.manifest;
  Status status = store.begin(manifest.job, manifest.key(), manifest.total_bytes(), now);
  if (status.code == Code::kAlreadyExists) return Status::success();
  if (!status.ok()) return status;
  for (const CheckpointFile& file : manifest.files) {
    status = send_file(store, manifest, file, checkpoint.contents.at(file.name), now);
    if (!status.ok()) return status;
  }
  const auto stored = store.commit(manifest, keep, now);
  return stored ? Status::success() : stored.error();
}

inline Result<std::string> read_all(const CheckpointStore& store, JobId job, CheckpointKey key,
                                    std::string_view name) {
  const Result<Blob> blob = store.open_file(job, key, name);
  if (!blob) return fail(blob.error());
  std::string content(blob->size_bytes, '\0');
  if (Status status = blob->file->read_at(0, std::as_writable_bytes(std::span(content)));
      !status.ok())
    return fail(std::move(status));
  return content;
}

}  // namespace overwinter::artifacts
