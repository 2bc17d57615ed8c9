// A checkpoint of one file in a store, written as a rank writes it.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "common/base/bytes.h"
#include "common/formats/digest.h"
#include "coordinator/artifacts/checkpoint_store.h"

namespace overwinter::test {

inline void put_checkpoint(artifacts::CheckpointStore& store, JobId job, CheckpointKey key,
                           const std::string& weights) {
  ASSERT_TRUE(store.begin(job, key, kMiB, Time(Duration(5))).ok());
  const auto bytes = std::as_bytes(std::span(weights));
  formats::BlobDigester digester;
  digester.update(bytes);
  CheckpointManifest manifest;
  manifest.job = job;
  manifest.attempt = key.attempt;
  manifest.step = key.step;
  manifest.world_size = 1;
  manifest.files.push_back(
      {"model.safetensors", weights.size(), digester.finish(), CheckpointFileKind::kWeights});
  auto upload = store.begin_file(job, key, manifest.files.back().digest, weights.size(), {});
  ASSERT_TRUE(upload) << upload.error().message;
  ASSERT_TRUE((*upload)->write(bytes, {}).ok());
  ASSERT_TRUE((*upload)->finish().ok());
  ASSERT_TRUE(store.commit(manifest, 10, Time(Duration(1000))).has_value());
}

}  // namespace overwinter::test
