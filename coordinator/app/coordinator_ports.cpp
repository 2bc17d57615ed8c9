// The coordinator's ports: the dashboard with its certificates, the servers, where they listen, and
// whether they live.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/seal.h"
#include "coordinator/app/coordinator_impl.h"

namespace overwinter::app {
namespace {

constexpr int kExitPortsDead = 70;

std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

// By which browsers may reach the page, in the order in which its address takes one.
std::vector<std::string> page_hosts(const Config& config) {
  std::vector<std::string> out = config.names;
  std::string listens = host_of(config.listen_dashboard);
  if (listens.starts_with('[')) listens = listens.substr(1, listens.size() - 2);
  if (listens != "0.0.0.0" && listens != "::") out.push_back(std::move(listens));
  out.insert(out.end(), {"localhost", "127.0.0.1", "::1"});
  return out;
}

}  // namespace

Result<std::optional<PageCertificate>> find_page_certificate(const Config& config, Time now) {
  if (config.dashboard_certificate.empty()) return std::nullopt;
  auto found = read_page_certificate({config.dashboard_certificate, config.dashboard_key},
                                     page_hosts(config), now);
  if (!found) return fail(std::move(found.error()));
  if (!found->warning.empty()) log_warning("{}", found->warning);
  return std::optional(std::move(*found));
}

Status Coordinator::Impl::open_ports() {
  auto started = rpc::DescriptorServer::start(folder.descriptor_socket(), *views, *blobs,
                                              signer.verifier(), [this] { return loop->now(); });
  if (!started) return started.error();
  descriptors = std::move(*started);
  if (Status status = open_dashboard(); !status.ok()) return status;
  std::string host = page_certificate ? page_certificate->host : page_hosts(config).front();
  if (host.find(':') != std::string::npos && !host.starts_with('[')) host = '[' + host + ']';
  serving = {loop->now(), "https://" + host + ":" + std::to_string(https->port()), config.data_dir,
             folder.leaf(), config.dashboard_certificate};
  Status status = servers->start();
  serving.workers_port = servers->workers_port();
  ready = status.ok();
  return status;
}

Status Coordinator::Impl::open_sessions() {
  auto sealer = Sealer::open(folder.session_key());
  if (!sealer && sealer.error().code == Code::kNotFound) {
    sealer = Sealer::create(folder.session_key());
  }
  if (!sealer) return sealer.error();
  sessions.emplace(std::move(*sealer), page_hosts(config));
  return Status::success();
}

Status Coordinator::Impl::open_dashboard() {
  if (Status status = open_sessions(); !status.ok()) return status;
  router.emplace(dashboard::Sources{
      *views, *costs, pool, queue, requests, *loop, *store,
      [this] { return servers->workers_connected(); },
      [this](telemetry::Door door) { return connections(door); }, serving,
      [this] { return ready.load(); }, *telemetry, *checkpoints, *sessions,
      [this](std::string_view code) { return servers->exchange_code(code); }, *notices, *audit});
  auto certificates = page_certificates();
  if (!certificates) return certificates.error();
  auto started = dashboard::HttpsServer::start(
      {config.listen_dashboard, std::move(*certificates), dashboard_admission},
      [this](const dashboard::Request& request, const dashboard::HttpsServer::Done& done) {
        router->handle(request, done);
      });
  if (!started) return started.error();
  https = std::move(*started);
  return Status::success();
}

Result<dashboard::HttpsCertificates> Coordinator::Impl::page_certificates() const {
  auto leaf = load_leaf(folder.leaf());
  if (!leaf) return fail(std::move(leaf.error()));
  dashboard::HttpsCertificates out;
  out.own = std::move(leaf->leaf);
  if (page_certificate) out.shown = page_certificate->pem;
  return out;
}

Status Coordinator::Impl::show_certificates() {
  const auto certificates = page_certificates();
  return certificates ? https->use(*certificates) : certificates.error();
}

// Whoever renews it replaces two files one after the other: what does not fit is not taken, and
// looked at again the next time.
void Coordinator::Impl::look_at_page_certificate() {
  if (!page_certificate) return;
  auto found = find_page_certificate(config, wall_now());
  if (!found) {
    log_warning("{}; the page goes on with the certificate that it has, until {}",
                found.error().message, format_time(page_certificate->not_after));
    return;
  }
  const CertifiedKey& now = (*found)->pem;
  const CertifiedKey& before = page_certificate->pem;
  if (now.cert_chain_pem == before.cert_chain_pem && now.key_pem == before.key_pem) return;
  page_certificate = std::move(*found);
  if (const Status status = show_certificates(); !status.ok()) {
    log_warning("{}", status.message);
    return;
  }
  log_info("the page has a new certificate, until {}", format_time(page_certificate->not_after));
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

void Coordinator::Impl::watch_own_ports() {
  SelfProbe::Config ports;
  ports.addresses = {to_dial(config.listen_people, servers->people_port()),
                     to_dial(config.listen_workers, servers->workers_port()),
                     to_dial(config.listen_dashboard, https->port())};
  if (config.probe_every > Duration(0)) ports.every = config.probe_every;
  self_probe.emplace(std::move(ports), [](const std::string& wrong) {
    log_error("ends itself, to be started again: {}", wrong);
    std::_Exit(
        kExitPortsDead);  // stop() may wait for what is dead; all that was acknowledged is durable
  });
}

runtime::ConnectionCounts Coordinator::Impl::connections(telemetry::Door door) const {
  switch (door) {
    case telemetry::Door::kPeople:
      return servers->people_connections();
    case telemetry::Door::kWorkers:
      return servers->workers_connections();
    case telemetry::Door::kDashboard:
      break;
  }
  return dashboard_admission->counts();
}

}  // namespace overwinter::app
