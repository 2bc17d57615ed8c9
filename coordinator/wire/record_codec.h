// Whole current rows of the projection ↔ bytes (proto/overwinter/v1/record.proto). Thread-safe, no
// state. decode_…(): any bytes are safe to give; DATA_LOSS when they are not what the encoder
// writes.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "coordinator/core/cluster_state.h"

namespace overwinter::wire {

// But for `spec` and `plan`, which are null when it is read back.
[[nodiscard]] std::string encode_job(const core::JobRecord& job);
[[nodiscard]] Result<core::Job> decode_job(std::string_view bytes);

[[nodiscard]] std::string encode_worker(const core::Worker& worker);
[[nodiscard]] Result<core::Worker> decode_worker(std::string_view bytes);

[[nodiscard]] std::string encode_project(const core::Project& project);
[[nodiscard]] Result<core::Project> decode_project(std::string_view bytes);

[[nodiscard]] std::string encode_token(const core::Token& token);
[[nodiscard]] Result<core::Token> decode_token(std::string_view bytes);

[[nodiscard]] std::string encode_join_file(const core::JoinFile& file);
[[nodiscard]] Result<core::JoinFile> decode_join_file(std::string_view bytes);

// What a cluster has one of: its name, its prices, the next numbers. Maps and indexes are left
// alone.
[[nodiscard]] std::string encode_cluster(const core::ClusterState& state);
Status decode_cluster(std::string_view bytes, core::ClusterState& state);

}  // namespace overwinter::wire
