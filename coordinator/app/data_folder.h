// The coordinator's folder: what is where.
//
//   store/        the log of turns and its projection (coordinator/store)
//   artifacts/    uploaded matrices and results (coordinator/artifacts)
//   secrets/      what jobs are given beside their specification, sealed (coordinator/secrets)
//   secrets.key   what they are sealed with, 0600
//   session.key   what the page's sessions are sealed with, 0600
//   telemetry/    logs and curves of jobs (coordinator/telemetry)
//   audit/        refusals and decisions that are no facts (coordinator/telemetry)
//   ca/           the cluster's certificate authority; ca/root.pem is what clients pin
//   leaf/         key and certificate of the servers, made anew at each start
//   capability.key    signs artifact capabilities
//   admin.token   the first admin token, 0600
//   notify.yaml   who is told what; the admin's own file, 0600 (coordinator/notify)
//   notify.told   which of them was told what, so that a restart tells nothing twice
//   run/          endpoints.json, coordinator.pid, descriptors.sock
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"

namespace overwinter::app {

struct DataFolder {
  explicit DataFolder(std::filesystem::path dir) : root(std::move(dir)) {}
  std::filesystem::path root;
  [[nodiscard]] std::filesystem::path store() const { return root / "store"; }
  [[nodiscard]] std::filesystem::path artifacts() const { return root / "artifacts"; }
  [[nodiscard]] std::filesystem::path telemetry() const { return root / "telemetry"; }
  [[nodiscard]] std::filesystem::path audit() const { return root / "audit"; }
  [[nodiscard]] std::filesystem::path secrets() const { return root / "secrets"; }
  [[nodiscard]] std::filesystem::path secrets_key() const { return root / "secrets.key"; }
  [[nodiscard]] std::filesystem::path session_key() const { return root / "session.key"; }
  [[nodiscard]] std::filesystem::path ca() const { return root / "ca"; }
  [[nodiscard]] std::filesystem::path leaf() const { return root / "leaf"; }
  [[nodiscard]] std::filesystem::path capability_key() const { return root / "capability.key"; }
  [[nodiscard]] std::filesystem::path admin_token() const { return root / "admin.token"; }
  [[nodiscard]] std::filesystem::path notify_settings() const { return root / "notify.yaml"; }
  [[nodiscard]] std::filesystem::path notify_told() const { return root / "notify.told"; }
  [[nodiscard]] std::filesystem::path run() const { return root / "run"; }
  [[nodiscard]] std::filesystem::path endpoints() const { return run() / "endpoints.json"; }
  [[nodiscard]] std::filesystem::path pid() const { return run() / "coordinator.pid"; }
  [[nodiscard]] std::filesystem::path descriptor_socket() const {
    return run() / "descriptors.sock";
  }

  // Makes root, artifacts and run, 0700, with their parents.
  [[nodiscard]] Status make() const;
};

}  // namespace overwinter::app
