// A checkpoint's manifest as a file, format 1. One JSON object on one line:
//
//   {"sha256":"HEX","manifest":{"format":"overwinter-checkpoint","version":1,"job":7,"attempt":2,
//    "step":50,"parametersDigest":"HEX","worldSize":2,"dataPosition":800,"loss":2.31,
//    "stored":"2026-11-29T10:00:00.000Z","files":[{"name":"model-0.safetensors","sizeBytes":1024,
//    "digest":"HEX","kind":"weights"}, ...]}}
//
// `sha256` covers the bytes of the inner object as they stand: a flipped bit is found, also one
// that leaves the JSON whole. `loss` may be absent; every other key is there, no other key is, and
// none stands twice. `step` counts optimiser steps that were done, `dataPosition` the samples that
// were taken from the data by all ranks. A digest is SHA-256 over the SHA-256 values of the
// content's 1 MiB chunks. The random state lies in a file of kind "state". Kinds: weights,
// optimizer, state (safetensors), user-file (as an exec job left it). A reader refuses another
// version; version 2 may add keys and must say here what their absence means.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/domain/checkpoint.h"

namespace overwinter::formats {

inline constexpr int kCheckpointManifestVersion = 1;
// More than any manifest that check_checkpoint passes needs.
inline constexpr std::size_t kCheckpointManifestBytesMax = std::size_t{8} << 20;

// Of a manifest that check_checkpoint passes; ends with a newline.
[[nodiscard]] std::string write_checkpoint_manifest(const CheckpointManifest& manifest);
// Hostile input: kInvalidArgument, one sentence. What is returned has passed check_checkpoint.
[[nodiscard]] Result<CheckpointManifest> read_checkpoint_manifest(std::string_view text);

}  // namespace overwinter::formats
