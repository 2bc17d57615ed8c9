// What a coordinator is made of, in the order in which it is built. This room's files alone.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/clock.h"
#include "common/security/ca.h"
#include "common/security/capability.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/app/data_folder.h"
#include "coordinator/app/descriptor_shares.h"
#include "coordinator/app/page_certificate.h"
#include "coordinator/app/self_probe.h"
#include "coordinator/app/store_sink.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/artifacts/held_files.h"
#include "coordinator/artifacts/job_archives.h"
#include "coordinator/backup/backups.h"
#include "coordinator/dashboard/https_server.h"
#include "coordinator/dashboard/router.h"
#include "coordinator/rpc/descriptor_server.h"
#include "coordinator/rpc/servers.h"
#include "coordinator/runtime/admission.h"
#include "coordinator/runtime/coordinator_loop.h"
#include "coordinator/runtime/notices.h"
#include "coordinator/secrets/secret_store.h"

namespace overwinter::app {

inline Time wall_now() {
  return Time(system_clock().wall());
}

// The operator's own certificate of the page, where the command line names one; why it cannot be
// used.
[[nodiscard]] Result<std::optional<PageCertificate>> find_page_certificate(const Config& config,
                                                                           Time now);

struct Coordinator::Impl {
  Impl(Config settings, CertificateAuthority ca, CapabilitySigner capability_signer)
      : config(std::move(settings)),
        folder(config.data_dir),
        authority(std::move(ca)),
        signer(std::move(capability_signer)),
        queue({}),
        requests(queue),
        pool(runtime::BlockingPoolConfig{}) {
    if (config.lost_after > Duration(0)) {
      scheduling.lost_after = config.lost_after;
      scheduling.grace_after_start = config.lost_after * 2;
    }
  }

  // ---- coordinator_data.cpp: what lies in the folder
  Status restore();
  Status open_artifacts();
  Status open_archives();
  Status open_secrets();
  Status open_telemetry();
  Status announce_checkpoints();
  Status ensure_admin_token();
  // ---- coordinator.cpp: what runs on it
  Status start_loop();
  void tell_core_of(const CheckpointManifest& stored);
  Status start_notices();
  // ---- coordinator_ports.cpp: who reaches it
  Status open_ports();
  Status open_sessions();
  Status open_dashboard();
  [[nodiscard]] Result<dashboard::HttpsCertificates> page_certificates() const;
  Status show_certificates();
  void look_at_page_certificate();
  Status write_endpoints() const;
  void watch_own_ports();
  [[nodiscard]] runtime::ConnectionCounts connections(telemetry::Door door) const;

  const Config config;
  const DescriptorShares shares = share_descriptors(descriptor_limit());
  const std::shared_ptr<runtime::Admission> dashboard_admission =
      std::make_shared<runtime::Admission>(
          runtime::AdmissionLimits{.connections_max = shares.dashboard});
  const DataFolder folder;
  CertificateAuthority authority;
  CapabilitySigner signer;

  std::unique_ptr<store::Store> store;
  core::ClusterState restored;
  std::optional<StoreSink> sink;
  std::unique_ptr<artifacts::HeldFiles> files;  // of all stores of artifacts
  std::unique_ptr<artifacts::BlobStore> blobs;
  std::unique_ptr<artifacts::ResultStore> results;
  std::unique_ptr<telemetry::Telemetry> telemetry;
  std::unique_ptr<telemetry::AuditLog> audit;
  std::unique_ptr<artifacts::CheckpointStore> checkpoints;
  std::unique_ptr<artifacts::JobArchives> archives;
  std::unique_ptr<secrets::SecretStore> secrets;
  std::optional<backup::Backups> backups;
  store::LogChecks log_checks{folder.store()};

  runtime::EventQueue queue;
  runtime::Requests requests;
  runtime::BlockingPool pool;
  std::optional<runtime::Views> views;
  std::optional<runtime::Costs> costs;
  runtime::LinkMeter links;
  std::optional<runtime::Planner> planner;
  std::optional<runtime::ResultKeeper> keeper;
  std::optional<runtime::TileIntake> tiles;
  std::optional<runtime::Notices> notices;
  std::unique_ptr<rpc::Servers> servers;
  std::optional<runtime::EffectDispatcher> effects;
  std::unique_ptr<runtime::CoordinatorLoop> loop;
  std::unique_ptr<rpc::DescriptorServer> descriptors;
  std::optional<dashboard::Sessions> sessions;
  std::optional<dashboard::Router> router;
  std::optional<SelfProbe> self_probe;
  std::optional<PageCertificate> page_certificate;  // of the operator's own
  std::unique_ptr<dashboard::HttpsServer> https;
  runtime::Serving serving;
  std::atomic<bool> ready{false};  // set once `serving` is complete
  core::SchedulerConfig scheduling;
};

}  // namespace overwinter::app
