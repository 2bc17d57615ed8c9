#include "coordinator/app/coordinator.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/version.h"
#include "common/security/ca.h"
#include "common/security/capability.h"
#include "common/security/file_io.h"
#include "common/security/host_id.h"
#include "common/security/leaf_store.h"
#include "common/security/random.h"
#include "common/security/token.h"
#include "coordinator/app/data_folder.h"
#include "coordinator/app/store_sink.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/artifacts/job_archives.h"
#include "coordinator/dashboard/https_server.h"
#include "coordinator/dashboard/router.h"
#include "coordinator/rpc/descriptor_server.h"
#include "coordinator/rpc/servers.h"
#include "coordinator/runtime/checkpoint_retention.h"
#include "coordinator/runtime/coordinator_loop.h"
#include "coordinator/secrets/secret_store.h"

namespace overwinter::app {
namespace {

constexpr Duration kStopGrace{1500};
constexpr Duration kLogsKept = std::chrono::days(30);  // after a job's last line
constexpr std::uint64_t kDiskKeptForUploads = 256 * kMiB;
constexpr std::uint64_t kDiskKeptForResults = 128 * kMiB;
constexpr std::size_t kTokenFileBytesMax = 4096;

constexpr std::size_t kDashboardConnectionsMax = 256;

std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

Time wall_now() {
  return Time(system_clock().wall());
}

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

store::StoreConfig store_config(const DataFolder& folder) {
  store::StoreConfig config;
  config.folder = folder.store();
  return config;
}

// Asks the loop and waits; at the start alone, before anybody else can.
template <class E>
core::Reply ask_and_wait(runtime::Requests& requests, E event) {
  std::promise<core::Reply> promise;
  auto answer = promise.get_future();
  requests.ask(std::move(event),
               [&promise](const core::Reply& reply) { promise.set_value(reply); });
  return answer.get();
}

core::TokenCreateRequested admin_token_event(const std::string& token) {
  core::TokenCreateRequested event;
  event.hash = token_hash(token);
  event.role = Role::kAdmin;
  event.name = "admin";
  return event;
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

  Status restore();
  Status open_artifacts();
  Status open_archives();
  Status open_secrets();
  Status open_telemetry();
  Status start_loop();
  void tell_core_of(const CheckpointManifest& stored);
  Status announce_checkpoints();
  Status ensure_admin_token();
  Status open_ports();
  Status open_dashboard();
  Status write_endpoints() const;

  const Config config;
  const DataFolder folder;
  CertificateAuthority authority;
  CapabilitySigner signer;

  std::unique_ptr<store::Store> store;
  core::ClusterState restored;
  std::optional<StoreSink> sink;
  std::unique_ptr<artifacts::BlobStore> blobs;
  std::unique_ptr<artifacts::ResultStore> results;
  std::unique_ptr<telemetry::Telemetry> telemetry;
  std::unique_ptr<artifacts::CheckpointStore> checkpoints;
  std::unique_ptr<artifacts::JobArchives> archives;
  std::unique_ptr<secrets::SecretStore> secrets;

  runtime::EventQueue queue;
  runtime::Requests requests;
  runtime::BlockingPool pool;
  std::optional<runtime::Views> views;
  std::optional<runtime::Costs> costs;
  runtime::LinkMeter links;
  std::optional<runtime::Planner> planner;
  std::optional<runtime::ResultKeeper> keeper;
  std::optional<runtime::TileIntake> tiles;
  std::unique_ptr<rpc::Servers> servers;
  std::optional<runtime::EffectDispatcher> effects;
  std::unique_ptr<runtime::CoordinatorLoop> loop;
  std::unique_ptr<rpc::DescriptorServer> descriptors;
  std::optional<dashboard::Router> router;
  std::unique_ptr<dashboard::HttpsServer> https;
  runtime::Serving serving;
  std::atomic<bool> ready{false};  // set once `serving` is complete
  core::SchedulerConfig scheduling;
};

Status Coordinator::Impl::restore() {
  auto state = store->restore();
  if (!state) return state.error();
  restored = std::move(*state);
  sink.emplace(*store);
  return Status::success();
}

Status Coordinator::Impl::open_artifacts() {
  artifacts::BlobStoreConfig blob_config;
  blob_config.free_bytes_min = kDiskKeptForUploads;
  auto opened = artifacts::BlobStore::open(artifacts::posix_files(), folder.artifacts().string(),
                                           blob_config);
  if (!opened) return opened.error();
  blobs = std::move(*opened);
  artifacts::ResultStoreConfig result_config;
  result_config.free_bytes_min = kDiskKeptForResults;
  auto opened_results = artifacts::ResultStore::open(artifacts::posix_files(),
                                                     folder.artifacts().string(), result_config);
  if (!opened_results) return opened_results.error();
  results = std::move(*opened_results);
  if (Status status = runtime::remove_orphans(*results, restored, store->history()); !status.ok()) {
    return status;
  }
  artifacts::CheckpointStoreConfig checkpoint_config;
  checkpoint_config.free_bytes_min = kDiskKeptForResults;
  auto opened_checkpoints = artifacts::CheckpointStore::open(
      artifacts::posix_files(), folder.artifacts().string(), checkpoint_config);
  if (!opened_checkpoints) return opened_checkpoints.error();
  checkpoints = std::move(*opened_checkpoints);
  return runtime::remove_orphans(*checkpoints, restored, store->history());
}

Status Coordinator::Impl::open_archives() {
  artifacts::JobArchivesConfig archives_config;
  archives_config.free_bytes_min = kDiskKeptForResults;
  auto opened = artifacts::JobArchives::open(artifacts::posix_files(), folder.artifacts().string(),
                                             archives_config);
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
  return Status::success();
}

Status Coordinator::Impl::start_loop() {
  const Time last = restored.last_time;
  // Microseconds: a number of an earlier run is smaller than any of this one.
  views.emplace(static_cast<std::uint64_t>(unix_ms(std::max(wall_now(), last))) * 1000);
  views->set_metrics_source([this](const std::string& project, JobId id) {
    return last_metrics(*telemetry, project, id);
  });
  costs.emplace(*views, *store);
  planner.emplace(*views, links, *blobs, *results, store->history(), pool, queue);
  keeper.emplace(*views, *blobs, *results, pool, queue);
  tiles.emplace(*results, *keeper, pool, queue, artifacts::TileSinkConfig{});

  rpc::ServersConfig server_config;
  server_config.people_address = config.listen_people;
  server_config.workers_address = config.listen_workers;
  server_config.leaf_dir = folder.leaf();
  server_config.names = config.names;
  server_config.host_id = host_id(authority.cluster());
  server_config.descriptor_socket = std::filesystem::absolute(folder.descriptor_socket()).string();
  server_config.heartbeat_every = scheduling.heartbeat_every;
  server_config.allow_test_workloads = config.allow_test_workloads;
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
                       [this](const CheckpointManifest& stored) { tell_core_of(stored); }},
      std::move(server_config));

  effects.emplace(runtime::Ports{&servers->link(), &requests, &*keeper, &*planner});
  loop = std::make_unique<runtime::CoordinatorLoop>(
      core::Scheduler(scheduling, std::move(restored)), system_clock(), last, queue, *sink,
      *effects, *views);
  queue.post_vital(core::CoordinatorStarted{authority.cluster(), random_number()});
  loop->start();
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

void Coordinator::Impl::tell_core_of(const CheckpointManifest& stored) {
  queue.post_vital(core::CheckpointStored{stored.job, stored.attempt, stored.step});
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

Status Coordinator::Impl::open_ports() {
  auto started = rpc::DescriptorServer::start(folder.descriptor_socket(), *views, *blobs,
                                              signer.verifier(), [this] { return loop->now(); });
  if (!started) return started.error();
  descriptors = std::move(*started);
  if (Status status = open_dashboard(); !status.ok()) return status;
  const std::string host =
      config.names.empty() ? host_of(config.listen_dashboard) : config.names.front();
  serving = {loop->now(), "https://" + host + ":" + std::to_string(https->port()), config.data_dir,
             folder.leaf()};
  Status status = servers->start();
  ready = status.ok();
  return status;
}

// Again after its certificate was renewed: it reads the files once.
Status Coordinator::Impl::open_dashboard() {
  if (!router) {
    router.emplace(dashboard::Sources{*views, *costs, pool, queue, *loop, *store,
                                      [this] { return servers->workers_connected(); }, serving,
                                      [this] { return ready.load(); }});
  }
  https.reset();
  const LeafPaths leaf = leaf_paths(folder.leaf());
  auto started = dashboard::HttpsServer::start(
      {config.listen_dashboard, leaf.key, leaf.certificate_chain, kDashboardConnectionsMax},
      [this](const dashboard::Request& request, const dashboard::HttpsServer::Done& done) {
        router->handle(request, done);
      });
  if (!started) return started.error();
  https = std::move(*started);
  return Status::success();
}

Status Coordinator::Impl::write_endpoints() const {
  const auto with_port = [](const std::string& address, int port) {
    return host_of(address) + ":" + std::to_string(port);
  };
  const nlohmann::ordered_json json = {
      {"people", with_port(config.listen_people, servers->people_port())},
      {"workers", with_port(config.listen_workers, servers->workers_port())},
      {"dashboard", with_port(config.listen_dashboard, https->port())},
      {"pid", ::getpid()},
      {"version", kVersion}};
  if (Status status = write_file_atomically(folder.endpoints(), json.dump(2) + "\n");
      !status.ok()) {
    return status;
  }
  return write_file_atomically(folder.pid(), std::to_string(::getpid()) + "\n");
}

Coordinator::Coordinator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Coordinator::~Coordinator() = default;

Result<std::unique_ptr<Coordinator>> Coordinator::start(const Config& config) {
  const DataFolder folder(config.data_dir);
  if (Status status = folder.make(); !status.ok()) return fail(std::move(status));
  // The store's lock comes first: a second coordinator on the same folder changes nothing in it.
  auto store = store::open_store(store_config(folder));
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
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator(std::move(impl)));
  for (Status (Impl::*step)() :
       {&Impl::restore, &Impl::open_artifacts, &Impl::open_archives, &Impl::open_secrets,
        &Impl::open_telemetry, &Impl::start_loop, &Impl::announce_checkpoints,
        &Impl::ensure_admin_token, &Impl::open_ports}) {
    if (Status status = (it.*step)(); !status.ok()) {
      coordinator->stop();
      return fail(std::move(status));
    }
  }
  if (Status status = it.write_endpoints(); !status.ok()) {
    coordinator->stop();
    return fail(std::move(status));
  }
  log_info("cluster {} serves people on port {} and workers on port {}", it.authority.cluster(),
           it.servers->people_port(), it.servers->workers_port());
  return coordinator;
}

void Coordinator::end_idle_uploads() {
  impl_->blobs->sweep(impl_->loop->now());
  impl_->checkpoints->sweep(impl_->loop->now());
  const Status swept = impl_->archives->sweep(impl_->loop->now());
  runtime::end_if_disk_failed(swept);
  if (!swept.ok()) log_warning("a job's folder could not be removed: {}", swept.message);
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
  if (const Status status = impl_->open_dashboard(); !status.ok()) {
    log_warning("the dashboard could not be opened again: {}", status.message);
  }
}

// Who feeds the loop ends before it, what it feeds after it.
void Coordinator::stop() {
  Impl& it = *impl_;
  it.ready = false;
  it.https.reset();
  it.descriptors.reset();
  if (it.servers) it.servers->stop(kStopGrace);
  if (it.loop) it.loop->stop();
  it.requests.fail_all();
  it.pool.stop();
  it.telemetry.reset();  // writes what it was handed
  it.store.reset();
}

Result<std::string> make_admin_token(const Config& config) {
  const DataFolder folder(config.data_dir);
  auto store = store::open_store(store_config(folder));
  if (!store) return fail(store.error());
  auto state = (*store)->restore();
  if (!state) return fail(state.error());
  if (state->cluster.empty()) {
    return fail(Code::kFailedPrecondition, "no coordinator has ever run on this folder", {},
                "start it: the first start writes an admin token");
  }
  const Time now = std::max(wall_now(), state->last_time);
  core::Scheduler scheduler(core::SchedulerConfig{}, std::move(*state));
  const std::string token = make_token();
  core::Outcome outcome;
  scheduler.step(now, admin_token_event(token), outcome);
  if (Status status = write_file_atomically(folder.admin_token(), token + "\n"); !status.ok()) {
    return fail(std::move(status));
  }
  const store::TurnRef turn{now, outcome.facts};
  if (Status status = (*store)->append_and_commit({&turn, 1}); !status.ok()) {
    return fail(std::move(status));
  }
  return folder.admin_token().string();
}

Status verify(const Config& config) {
  const auto report = store::verify_store(DataFolder(config.data_dir).store());
  if (!report) return report.error();
  std::printf("%llu turns, %llu facts, %llu rows of the projection compared\n",
              static_cast<unsigned long long>(report->turns),
              static_cast<unsigned long long>(report->facts),
              static_cast<unsigned long long>(report->rows));
  for (const auto& difference : report->differences)
    std::printf("differs: %s\n", difference.c_str());
  if (report->differences.empty()) return Status::success();
  return error(Code::kDataLoss, "the projection is not what the log says", {},
               "remove store/projection.db*: it is built anew at the next start");
}

}  // namespace overwinter::app
