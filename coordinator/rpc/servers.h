// Servers: the two gRPC servers (TRUST §1). People on one port (TLS and a bearer token), workers on
// the other (client certificate required); each with a quota of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/ca.h"
#include "common/security/capability.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/artifacts/job_archives.h"
#include "coordinator/backup/backups.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/cluster_status.h"
#include "coordinator/runtime/connection_counts.h"
#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/link_meter.h"
#include "coordinator/runtime/notices.h"
#include "coordinator/runtime/planner.h"
#include "coordinator/runtime/ports.h"
#include "coordinator/runtime/requests.h"
#include "coordinator/runtime/result_keeper.h"
#include "coordinator/runtime/tile_intake.h"
#include "coordinator/runtime/views.h"
#include "coordinator/secrets/secret_store.h"
#include "coordinator/store/log_check.h"
#include "coordinator/telemetry/audit_log.h"
#include "coordinator/telemetry/telemetry.h"

namespace overwinter::rpc {

struct ServersConfig {
  std::string people_address = "127.0.0.1:7600";
  std::string workers_address = "127.0.0.1:7602";
  std::filesystem::path leaf_dir;  // key, certificate and root of the coordinator (leaf_store.h)
  std::vector<std::string> names;  // by which others reach this machine; empty: the addresses above
  std::string host_id;
  std::string descriptor_socket;
  std::uint64_t generation = 1;
  Duration heartbeat_every{1000};
  bool allow_test_workloads = false;
  std::size_t people_connections_max = 4096;  // each takes two descriptors
  std::size_t workers_connections_max = 4096;
};

// What the servers work with; all of it outlives them.
struct ServersNeed {
  runtime::EventQueue& queue;
  runtime::Views& views;
  runtime::Requests& requests;
  runtime::Planner& planner;
  runtime::BlockingPool& pool;
  runtime::ResultKeeper& results;
  runtime::LinkMeter& links;
  runtime::TileIntake& tiles;
  artifacts::BlobStore& blobs;
  const CertificateAuthority& authority;
  CapabilitySigner signer;
  std::function<Time()> now;
  std::function<Status()> disk_room;
  const runtime::Costs& costs;
  const runtime::Serving& serving;  // complete at start()
  store::Store& store;
  telemetry::Telemetry& telemetry;
  artifacts::CheckpointStore& checkpoints;
  artifacts::JobArchives& archives;
  secrets::SecretStore& secrets;
  backup::Backups& backups;
  store::LogChecks& log_checks;
  telemetry::AuditLog& audit;
  // Called when a checkpoint is durable: checkpoint_service.h says how. May be empty.
  std::function<void(const CheckpointManifest&)> checkpoint_stored;
  runtime::Notices& notices;
};

class Servers {
 public:
  Servers(ServersNeed need, ServersConfig config);
  ~Servers();

  // The loop's port to the workers. There before start(): orders to nobody are dropped.
  [[nodiscard]] runtime::WorkerLink& link();
  // Opens both ports. FAILED_PRECONDITION with the address when one is taken.
  Status start();
  [[nodiscard]] int people_port() const;
  [[nodiscard]] int workers_port() const;
  [[nodiscard]] std::size_t workers_connected() const;
  [[nodiscard]] runtime::ConnectionCounts people_connections() const;
  [[nodiscard]] runtime::ConnectionCounts workers_connections() const;
  // The token behind a login code, which is used up. UNAUTHENTICATED when it is none. Any thread.
  [[nodiscard]] Result<std::string> exchange_code(std::string_view code);
  // Ends streams with UNAVAILABLE, lets calls under way finish for as long as `grace`, then cuts
  // them. The loop, or Requests::fail_all() after it, must be there to answer them.
  void stop(Duration grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::rpc
