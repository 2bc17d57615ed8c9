#include "coordinator/app/coordinator.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/security/host_id.h"
#include "common/security/leaf_store.h"
#include "common/security/random.h"
#include "coordinator/app/coordinator_impl.h"
#include "coordinator/backup/restore.h"
#include "coordinator/runtime/disk_failed.h"

namespace overwinter::app {
namespace {

constexpr Duration kStopGrace{1500};
constexpr Duration kLogsKept = std::chrono::days(30);  // after a job's last line

std::uint64_t random_number() {
  std::uint64_t number = 0;
  fill_random({reinterpret_cast<std::uint8_t*>(&number), sizeof(number)});
  return number;
}

Result<CertificateAuthority> open_authority(const DataFolder& folder, const std::string& cluster,
                                            Time now) {
  auto authority = CertificateAuthority::open(folder.ca());
  if (authority || authority.error().code != Code::kNotFound) return authority;
  return CertificateAuthority::create(folder.ca(), cluster, now);
}

// A new certificate for the servers, so that --name may change from one start to the next.
Status renew_leaf(const DataFolder& folder, const CertificateAuthority& authority,
                  const std::vector<std::string>& names, Time now) {
  auto leaf = authority.issue_coordinator(names, now);
  if (!leaf) return leaf.error();
  return install_leaf(folder.leaf(), *leaf, authority.root_pem(), now);
}

// The last values of a job's curves, as an earlier run of this program kept them.
runtime::JobMetrics last_metrics(telemetry::Telemetry& telemetry, const std::string& project,
                                 JobId id) {
  runtime::JobMetrics out;
  const auto curves = telemetry.list_curves({project, id});
  if (!curves) return out;
  for (const telemetry::CurveSummary& curve : *curves) {
    if (curve.name == "loss") out.loss = curve.last.value;
    if (curve.name == "validation_loss") out.validation_loss = curve.last.value;
    if (curve.name == "tokens_per_second") out.tokens_per_second = curve.last.value;
    if (curve.name == "samples_per_second") out.samples_per_second = curve.last.value;
  }
  return out;
}

}  // namespace

Status Coordinator::Impl::start_loop() {
  const Time last = restored.last_time;
  const std::uint64_t generation_id = restored.generation.id;
  // Microseconds: a number of an earlier run is smaller than any of this one.
  views.emplace(static_cast<std::uint64_t>(unix_ms(std::max(wall_now(), last))) * 1000);
  views->set_metrics_source([this](const std::string& project, JobId id) {
    return last_metrics(*telemetry, project, id);
  });
  costs.emplace(*views, *store);
  planner.emplace(*views, links, *blobs, *results, store->history(), pool, queue);
  keeper.emplace(*views, *blobs, *results, pool, queue);
  tiles.emplace(*results, *keeper, pool, queue, artifacts::TileSinkConfig{});

  notices.emplace(runtime::NoticesNeed{*views, requests, [this] { return loop->now(); }, serving,
                                       folder.notify_settings(), folder.notify_told()});
  backups.emplace(backup::BackupsConfig{config.data_dir, authority.cluster()}, *files,
                  [this] { return loop->now(); });

  rpc::ServersConfig server_config;
  server_config.people_address = config.listen_people;
  server_config.workers_address = config.listen_workers;
  server_config.leaf_dir = folder.leaf();
  server_config.names = config.names;
  server_config.host_id = host_id(authority.cluster());
  server_config.descriptor_socket = std::filesystem::absolute(folder.descriptor_socket()).string();
  server_config.generation = generation_id;
  server_config.heartbeat_every = scheduling.heartbeat_every;
  server_config.allow_test_workloads = config.allow_test_workloads;
  server_config.people_connections_max = shares.people;
  server_config.workers_connections_max = shares.workers;
  servers = std::make_unique<rpc::Servers>(
      rpc::ServersNeed{queue,
                       *views,
                       requests,
                       *planner,
                       pool,
                       *keeper,
                       links,
                       *tiles,
                       *blobs,
                       authority,
                       signer,
                       [this] { return loop->now(); },
                       [this] { return store->disk_room(); },
                       *costs,
                       serving,
                       *store,
                       *telemetry,
                       *checkpoints,
                       *archives,
                       *secrets,
                       *backups,
                       log_checks,
                       *audit,
                       [this](const CheckpointManifest& stored) { tell_core_of(stored); },
                       *notices},
      std::move(server_config));

  effects.emplace(runtime::Ports{&servers->link(), &requests, &*keeper, &*planner});
  loop = std::make_unique<runtime::CoordinatorLoop>(
      core::Scheduler(scheduling, std::move(restored)), system_clock(), last, queue, *sink,
      *effects, *views);
  queue.post_vital(core::CoordinatorStarted{authority.cluster(), random_number()});
  loop->start();
  return Status::success();
}

void Coordinator::Impl::tell_core_of(const CheckpointManifest& stored) {
  queue.post_vital(core::CheckpointStored{stored.job, stored.attempt, stored.step});
}

// Last: messages link to the page, whose address is known only now.
Status Coordinator::Impl::start_notices() {
  notices->start();
  return Status::success();
}

Coordinator::Coordinator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Coordinator::~Coordinator() = default;

Result<std::unique_ptr<Coordinator>> Coordinator::start(const Config& config) {
  const DataFolder folder(config.data_dir);
  // First of all: a restore that was cut off is to find nothing in the folder but what it made.
  if (Status status = backup::not_being_restored(config.data_dir); !status.ok()) {
    return fail(std::move(status));
  }
  auto page_certificate = find_page_certificate(config, wall_now());
  if (!page_certificate) return fail(std::move(page_certificate.error()));
  if (Status status = folder.make(); !status.ok()) return fail(std::move(status));
  // The store's lock comes first: a second coordinator on the same folder changes nothing in it.
  store::StoreConfig of_store;
  of_store.folder = folder.store();
  auto store = store::open_store(of_store);
  if (!store) return fail(store.error());
  const Time now = wall_now();
  auto authority = open_authority(folder, config.cluster, now);
  if (!authority) return fail(authority.error());
  auto signer = CapabilitySigner::open(folder.capability_key());
  if (!signer) return fail(signer.error());
  if (Status status = renew_leaf(folder, *authority, config.names, now); !status.ok()) {
    return fail(std::move(status));
  }
  auto impl = std::make_unique<Impl>(config, std::move(*authority), std::move(*signer));
  Impl& it = *impl;
  it.store = std::move(*store);
  it.page_certificate = std::move(*page_certificate);
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator(std::move(impl)));
  for (Status (Impl::*step)() :
       {&Impl::restore, &Impl::open_artifacts, &Impl::open_archives, &Impl::open_secrets,
        &Impl::open_telemetry, &Impl::start_loop, &Impl::announce_checkpoints,
        &Impl::ensure_admin_token, &Impl::open_ports, &Impl::start_notices}) {
    if (Status status = (it.*step)(); !status.ok()) {
      coordinator->stop();
      return fail(std::move(status));
    }
  }
  if (Status status = it.write_endpoints(); !status.ok()) {
    coordinator->stop();
    return fail(std::move(status));
  }
  it.watch_own_ports();
  log_info("cluster {} serves people on port {} and workers on port {}", it.authority.cluster(),
           it.servers->people_port(), it.servers->workers_port());
  if (const auto generation = it.views->cluster()->generation; generation.is_restored()) {
    log_warning(
        "this cluster was restored on {} from a backup of {}: what was spent, granted or revoked "
        "after that is not known here",
        format_time(generation.restored), format_time(generation.backup));
  }
  return coordinator;
}

void Coordinator::end_idle_uploads() {
  impl_->blobs->sweep(impl_->loop->now());
  impl_->checkpoints->sweep(impl_->loop->now());
  const Status swept = impl_->archives->sweep(impl_->loop->now());
  runtime::end_if_disk_failed(swept);
  if (!swept.ok()) log_warning("a job's folder could not be removed: {}", swept.message);
}

void Coordinator::reload() {
  impl_->notices->reload();
  impl_->look_at_page_certificate();
}

void Coordinator::look_at_page_certificate() {
  impl_->look_at_page_certificate();
}

void Coordinator::forget_old_logs() {
  impl_->telemetry->expire(impl_->loop->now() - kLogsKept);
}

void Coordinator::look_after_certificates() {
  const Time now = impl_->loop->now();
  if (impl_->authority.issuing_due(now)) {
    if (const Status status = impl_->authority.renew_issuing(now); !status.ok()) {
      log_warning("the issuing certificate ends at {} and could not be renewed: {}",
                  format_time(impl_->authority.issuing_not_after()), status.message);
    }
  }
  const auto leaf = load_leaf(impl_->folder.leaf());
  if (leaf && !due_for_renewal(leaf->leaf.cert_chain_pem, now)) return;
  if (const Status status = renew_leaf(impl_->folder, impl_->authority, impl_->config.names, now);
      !status.ok()) {
    log_warning("the servers' certificate could not be renewed: {}", status.message);
    return;
  }
  if (const Status status = impl_->show_certificates(); !status.ok()) {
    log_warning("{}", status.message);
  }
}

// Who feeds the loop ends before it, what it feeds after it.
void Coordinator::stop() {
  Impl& it = *impl_;
  it.self_probe.reset();
  it.ready = false;
  it.https.reset();
  it.descriptors.reset();
  if (it.notices) it.notices->stop();
  if (it.servers) it.servers->stop(kStopGrace);
  if (it.loop) it.loop->stop();
  it.requests.fail_all();
  it.pool.stop();
  it.telemetry.reset();  // writes what it was handed
  it.audit.reset();      // the same
  it.store.reset();
}

}  // namespace overwinter::app
