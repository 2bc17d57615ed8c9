// What the dashboard's router reads beside the cluster: logs and curves, checkpoints and sessions,
// all of them real and in a folder.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "common/security/seal.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/dashboard/sessions.h"
#include "coordinator/telemetry/audit_log.h"
#include "coordinator/telemetry/telemetry.h"

namespace overwinter::test {

struct PageParts {
  explicit PageParts(const std::filesystem::path& folder) {
    auto opened = telemetry::Telemetry::open(folder / "telemetry");
    EXPECT_TRUE(opened) << opened.error().message;
    telemetry = std::move(*opened);
    auto log = telemetry::AuditLog::open(folder / "page-audit");
    EXPECT_TRUE(log) << log.error().message;
    audit = std::move(*log);
    std::filesystem::create_directories(folder / "artifacts");
    auto store = artifacts::CheckpointStore::open(artifacts::posix_files(),
                                                  (folder / "artifacts").string(), {});
    EXPECT_TRUE(store) << store.error().message;
    checkpoints = std::move(*store);
    auto sealer = Sealer::create(folder / "session.key");
    EXPECT_TRUE(sealer) << sealer.error().message;
    sessions.emplace(std::move(*sealer), std::vector<std::string>{"localhost"});
  }

  std::unique_ptr<telemetry::Telemetry> telemetry;
  std::unique_ptr<telemetry::AuditLog> audit;
  std::unique_ptr<artifacts::CheckpointStore> checkpoints;
  std::optional<dashboard::Sessions> sessions;
};

}  // namespace overwinter::test
