#include "coordinator/rpc/servers.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_interceptor.h>

#include <chrono>
#include <utility>

#include "common/security/tls_credentials.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/billing_service.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/guarded_server.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/log_service.h"
#include "coordinator/rpc/refusals.h"
#include "coordinator/rpc/secret_service.h"
#include "coordinator/rpc/worker_probes.h"
#include "coordinator/rpc/worker_service.h"
#include "coordinator/rpc/worker_sessions.h"

namespace overwinter::rpc {
namespace {

constexpr int kMessageBytesMax = 4 * 1024 * 1024;
constexpr int kStreamsMax = 64;  // of one connection
constexpr int kHandshakeMs = 10'000;
constexpr int kIdleMs = 5 * 60 * 1000;
constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kPingIntervalMinMs = 5'000;
constexpr std::size_t kPeopleQuotaBytes = 128 * kMiB;
constexpr std::size_t kWorkersQuotaBytes = 512 * kMiB;

void set_limits(grpc::ServerBuilder& builder, const char* name, std::size_t quota_bytes) {
  grpc::ResourceQuota quota(name);
  quota.Resize(quota_bytes);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.SetMaxSendMessageSize(kMessageBytesMax);
  // A compressed message is as large as its sender likes once it is inflated.
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  builder.AddChannelArgument("grpc.server_handshake_timeout_ms", kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
}

std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

// Where others dial: the names that were given, or else the address that is listened on.
std::vector<std::string> dialled(const std::vector<std::string>& names, const std::string& address,
                                 int port) {
  std::vector<std::string> out;
  out.reserve(names.size() + 1);
  for (const auto& name : names) out.push_back(name + ":" + std::to_string(port));
  if (out.empty()) {
    const std::string host = host_of(address);
    const bool any = host.empty() || host == "0.0.0.0" || host == "[::]";
    out.push_back((any ? "127.0.0.1" : host) + ":" + std::to_string(port));
  }
  return out;
}

}  // namespace

struct Servers::Impl {
  Impl(ServersNeed need, ServersConfig settings)
      : config(std::move(settings)),
        authorizer(std::make_shared<const Authorizer>(need.views, need.now)),
        context{authorizer,
                need.views,
                need.requests,
                need.planner,
                need.pool,
                need.results,
                need.links,
                need.blobs,
                streams,
                need.now,
                need.disk_room,
                need.costs,
                need.serving,
                need.store,
                need.secrets,
                need.audit,
                config.allow_test_workloads,
                need.authority,
                {},
                {}},
        sessions(
            need.queue, need.views, streams, need.signer, need.now,
            {config.host_id, config.descriptor_socket, config.generation, config.heartbeat_every,
             [this](WorkerId worker, const v1::WorkerMessage& message) {
               probes.take(worker, message);
             }}),
        probes(
            [this](WorkerId worker, Incarnation incarnation, v1::CoordinatorMessage message) {
              return sessions.say(worker, incarnation, std::move(message));
            },
            system_wall_time),
        jobs(context, need.telemetry),
        admin(context, probes, need.notices, need.backups, need.log_checks),
        billing(context),
        artifacts(context, need.tiles, need.archives, need.signer.verifier()),
        worker_artifacts(context, need.tiles, need.archives, need.signer.verifier()),
        logs(context, need.telemetry, need.signer.verifier()),
        worker_logs(context, need.telemetry, need.signer.verifier()),
        checkpoints(context, need.checkpoints, need.signer.verifier(), {}),
        worker_checkpoints(context, need.checkpoints, need.signer.verifier(),
                           need.checkpoint_stored),
        secrets(context, need.secrets, need.signer.verifier()),
        worker_secrets(context, need.secrets, need.signer.verifier()),
        workers(context, sessions) {}

  void watch_calls(grpc::ServerBuilder& builder, telemetry::Door door, ConnectionGuard& guard);
  Status start_workers();
  Status start_people();

  const ServersConfig config;
  StreamRegistry streams;
  std::shared_ptr<const Authorizer> authorizer;
  ServiceContext context;
  WorkerSessions sessions;
  WorkerProbes probes;
  JobService jobs;
  AdminService admin;
  BillingService billing;
  ArtifactService artifacts;
  ArtifactService worker_artifacts;
  LogService logs;
  LogService worker_logs;
  CheckpointService checkpoints;
  CheckpointService worker_checkpoints;
  SecretService secrets;
  SecretService worker_secrets;
  WorkerService workers;
  GuardedServer workers_server;
  GuardedServer people_server;
};

void Servers::Impl::watch_calls(grpc::ServerBuilder& builder, telemetry::Door door,
                                ConnectionGuard& guard) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> watches;
  watches.push_back(call_marker(guard));
  watches.push_back(refusal_watch(context.audit, door, authorizer));
  builder.experimental().SetInterceptorCreators(std::move(watches));
}

Status Servers::Impl::start_workers() {
  WorkerServerOptions options;
  options.leaf_dir = config.leaf_dir;
  options.deny = [authorizer = authorizer, &log = context.audit](const PeerIdentity& peer) {
    if (!authorizer->denied(peer)) return false;
    const auto why = authorizer->peer(peer);
    tell_refusal(log, {telemetry::Door::kWorkers, kHandshake}, nullptr, authorizer->now(),
                 why ? error(Code::kUnauthenticated, "that worker was removed") : why.error());
    return true;
  };
  auto credentials = worker_server_credentials(options);
  if (!credentials) return credentials.error();
  (*credentials)->SetAuthMetadataProcessor(workers_processor(authorizer, context.audit));
  if (Status status =
          workers_server.listen(config.workers_address, config.workers_connections_max, "workers'");
      !status.ok()) {
    return status;
  }
  grpc::ServerBuilder builder;
  set_limits(builder, "workers", kWorkersQuotaBytes);
  workers_server.attach_to(builder, *credentials);
  watch_calls(builder, telemetry::Door::kWorkers, workers_server.guard());
  builder.RegisterService(&workers);
  builder.RegisterService(&worker_artifacts);
  builder.RegisterService(&worker_logs);
  builder.RegisterService(&worker_checkpoints);
  builder.RegisterService(&worker_secrets);
  return workers_server.start(builder);
}

Status Servers::Impl::start_people() {
  auto credentials = people_server_credentials(config.leaf_dir);
  if (!credentials) return credentials.error();
  (*credentials)->SetAuthMetadataProcessor(people_processor(authorizer, context.audit));
  // Both are switches of the process; the workers' server was built before.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  if (Status status =
          people_server.listen(config.people_address, config.people_connections_max, "people's");
      !status.ok()) {
    return status;
  }
  grpc::ServerBuilder builder;
  set_limits(builder, "people", kPeopleQuotaBytes);
  people_server.attach_to(builder, *credentials);
  watch_calls(builder, telemetry::Door::kPeople, people_server.guard());
  builder.RegisterService(&jobs);
  builder.RegisterService(&admin);
  builder.RegisterService(&billing);
  builder.RegisterService(&artifacts);
  builder.RegisterService(&logs);
  builder.RegisterService(&checkpoints);
  builder.RegisterService(&secrets);
  return people_server.start(builder);
}

Servers::Servers(ServersNeed need, ServersConfig config)
    : impl_(std::make_unique<Impl>(std::move(need), std::move(config))) {}
Servers::~Servers() {
  stop(Duration(0));
}

runtime::WorkerLink& Servers::link() {
  return impl_->sessions;
}
int Servers::people_port() const {
  return impl_->people_server.port();
}
int Servers::workers_port() const {
  return impl_->workers_server.port();
}
std::size_t Servers::workers_connected() const {
  return impl_->sessions.connected();
}
runtime::ConnectionCounts Servers::people_connections() const {
  return impl_->people_server.counts();
}
runtime::ConnectionCounts Servers::workers_connections() const {
  return impl_->workers_server.counts();
}

Result<std::string> Servers::exchange_code(std::string_view code) {
  return impl_->admin.exchange(code);
}

Status Servers::start() {
  // Addresses are known only once the ports are: no call reads them before a login or a join file
  // is asked for, which the people's port alone takes.
  if (Status status = impl_->start_workers(); !status.ok()) return status;
  impl_->context.worker_addresses =
      dialled(impl_->config.names, impl_->config.workers_address, workers_port());
  const int wanted = std::atoi(
      impl_->config.people_address.substr(impl_->config.people_address.rfind(':') + 1).c_str());
  impl_->context.people_address =
      dialled(impl_->config.names, impl_->config.people_address, wanted).front();
  if (Status status = impl_->start_people(); !status.ok()) return status;
  if (wanted == 0) {
    impl_->context.people_address =
        dialled(impl_->config.names, impl_->config.people_address, people_port()).front();
  }
  return Status::success();
}

void Servers::stop(Duration grace) {
  const Status status = error(Code::kUnavailable, "the coordinator is stopping");
  GuardedServer* const both[] = {&impl_->people_server, &impl_->workers_server};
  for (GuardedServer* it : both) it->stop_taking();
  impl_->streams.end_everything(status);
  impl_->probes.stop();
  impl_->sessions.end_all(status);
  const auto deadline = std::chrono::system_clock::now() + grace;
  for (GuardedServer* it : both) it->shut_down(deadline);
  for (GuardedServer* it : both) it->end();
}

}  // namespace overwinter::rpc
