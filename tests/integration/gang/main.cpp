// gang-host: the gang's side of one worker daemon, for tests. Reads orders (a JSON object a line)
// from standard input, writes events to standard output; at the end of its input it ends
// everything.
//   gang-host --certificates DIR CLUSTER ID...     makes DIR/ID/, a certificate for each worker
//   gang-host SETTINGS-JSON
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/security/ca.h"
#include "common/security/certificate.h"
#include "common/security/encoding.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/process.h"
#include "worker/rpc/peer_client.h"
#include "worker/rpc/peer_probe.h"
#include "worker/rpc/peer_server.h"
#include "worker/runtime/gang_launcher.h"

namespace overwinter::worker {
namespace {

using nlohmann::json;

// Ends the program with the reason: a test that goes on after it would show nothing.
template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  log_error("{}", result.error().message);
  std::exit(2);
}
void must(const Status& status) {
  if (status.ok()) return;
  log_error("{}", status.message);
  std::exit(2);
}

void say(const json& event) {
  static Mutex& mutex = *new Mutex;
  const MutexLock lock(mutex);
  std::cout << event.dump() << std::endl;
}

void make_certificates(const std::filesystem::path& folder, const std::string& cluster,
                       std::span<const std::string> ids) {
  const Time now = system_wall_time();
  must(ensure_private_folder(folder));
  const CertificateAuthority ca = must(CertificateAuthority::create(folder / "ca", cluster, now));
  for (const std::string& id : ids) {
    CertifiedKey leaf;
    leaf.key_pem = must(generate_key());
    leaf.cert_chain_pem = must(ca.sign_worker(must(make_csr(leaf.key_pem, id)), id, now));
    must(install_leaf(folder / id, leaf, ca.root_pem(), now));
  }
}

const char* kind_name(GangFaultKind kind) {
  constexpr std::array kNames = {"none",      "task_failed", "rank_frozen",     "stalled",
                                 "not_ready", "unreachable", "launcher_killed", "rank_killed",
                                 "host_lost", "rank_lost",   "launcher_failed", "cannot_start"};
  return kNames.at(static_cast<std::size_t>(kind));
}

json to_json(const GangFault& fault) {
  json out{{"kind", kind_name(fault.kind)},
           {"message", fault.message},
           {"step", fault.step},
           {"tensor", fault.tensor}};
  if (fault.rank) out["rank"] = *fault.rank;
  if (fault.host) out["host"] = *fault.host;
  if (fault.signal) out["signal"] = *fault.signal;
  if (fault.exit_code) out["exit_code"] = *fault.exit_code;
  return out;
}

class Reporter final : public GangObserver {
 public:
  GangLauncher* launcher = nullptr;

  void gang_event(const GangKey& gang, const GangEvent& event) override {
    json line = std::visit([&](const auto& one) { return describe(gang, one); }, event);
    line["job"] = gang.job.value();
    line["attempt"] = gang.attempt;
    say(line);
  }

 private:
  json describe(const GangKey&, const GangRankReady& e) {
    return {{"event", "ready"}, {"rank", e.rank}, {"pid", e.pid}};
  }
  json describe(const GangKey&, const GangRankProgress& e) {
    return {{"event", "progress"}, {"rank", e.rank}, {"step", e.progress.step()}};
  }
  json describe(const GangKey& gang, const GangCheckpoint& e) {
    json out{{"event", "checkpoint"}, {"rank", e.rank}, {"step", e.checkpoint.step()}};
    for (const auto& file : e.checkpoint.files()) out["files"].push_back(file.path());
    v1::CheckpointKept kept;
    kept.set_step(e.checkpoint.step());
    launcher->checkpoint_kept(gang, e.rank, kept);
    return out;
  }
  json describe(const GangKey&, const GangRankEnded& e) {
    return {{"event", "rank_ended"}, {"rank", e.rank}, {"pid", e.pid}, {"clean", e.clean}};
  }
  json describe(const GangKey&, const GangOutput& e) {
    json out{{"event", "output"}, {"error", e.error}, {"text", e.text}};
    if (e.rank) out["rank"] = *e.rank;
    return out;
  }
  json describe(const GangKey&, const GangHostLost& e) {
    return {{"event", "host_lost"}, {"host", e.host}, {"message", e.message}};
  }
  json describe(const GangKey&, const GangEnded& e) {
    return {{"event", "ended"}, {"clean", e.clean}, {"fault", to_json(e.fault)}};
  }
};

GangOrder order_of(const json& from) {
  GangOrder order;
  order.key = {JobId(from.at("job").get<std::uint64_t>()), from.at("attempt").get<std::uint32_t>()};
  for (const json& host : from.at("hosts")) {
    order.hosts.push_back({host.at("mpi"), host.at("peer"), WorkerId(host.at("worker").get<int>()),
                           host.at("slots"), host.value("token", "")});
  }
  order.self = from.at("self");
  order.network = from.at("network");
  order.oob_port = from.at("oob_port");
  order.uid = from.at("uid");
  order.gid = from.at("uid");
  order.token_hash = sha256(order.hosts[order.self].token);
  order.deadlines.start = Duration(from.value("start_ms", 30'000));
  order.deadlines.life = Duration(from.value("life_ms", 10'000));
  order.deadlines.progress = Duration(from.value("progress_ms", 60'000));
  order.launch_within = Duration(from.value("launch_within_ms", 60'000));
  for (std::uint32_t i = 0; i < order.hosts[order.self].slots; ++i) {
    v1::RankTask task;
    task.set_steps(from.value("steps", 10));
    task.mutable_self_test()->set_elements(from.value("elements", 1000));
    task.mutable_self_test()->set_step_ms(from.value("step_ms", 0));
    order.tasks.push_back(std::move(task));
  }
  return order;
}

class Host {
 public:
  explicit Host(const json& settings)
      : leaf_(settings.at("leaf").get<std::string>()),
        client_({leaf_}),
        launcher_(places_of(settings), programs_of(settings), client_, reporter_) {
    reporter_.launcher = &launcher_;
    PeerServerConfig config;
    config.leaf_dir = settings.at("leaf").get<std::string>();
    config.worker = WorkerId(settings.at("worker").get<std::uint64_t>());
    config.cluster = settings.at("cluster");
    config.address = settings.value("listen", "0.0.0.0");
    server_ = must(PeerServer::start(config, launcher_));
    say({{"event", "serving"}, {"port", server_->port()}});
  }

  void obey(const json& line) {
    if (line.contains("start")) {
      const Status started = launcher_.start(order_of(line["start"]));
      say({{"event", "start"}, {"ok", started.ok()}, {"message", started.message}});
    } else if (line.contains("ask")) {
      launcher_.ask_ranks(key_of(line), static_cast<v1::RankStop::How>(line["ask"].get<int>()));
    } else if (line.contains("end_ms")) {
      launcher_.end(key_of(line), Duration(line["end_ms"].get<int>()));
    } else if (line.contains("probe")) {
      PeerProbeWish wish;
      wish.within = Duration(line.value("within_ms", 5000));
      wish.bytes_max = 4 * kMiB;
      const auto probe =
          probe_peer(leaf_, line["probe"], WorkerId(line["worker"].get<int>()), wish);
      say({{"event", "probe"},
           {"ok", probe.has_value()},
           {"message", probe ? "" : probe.error().message},
           {"bytes_per_second", probe ? probe->bytes_per_second : 0}});
    } else if (line.contains("launch")) {
      launch(line["launch"]);
    }
  }

 private:
  static GangKey key_of(const json& line) {
    return {JobId(line.at("job").get<std::uint64_t>()), line.at("attempt").get<std::uint32_t>()};
  }
  static GangPlaces places_of(const json& settings) {
    return {settings.at("cluster"), settings.at("jobs").get<std::string>(),
            settings.at("sockets").get<std::string>()};
  }
  static GangPrograms programs_of(const json& settings) {
    GangPrograms programs;
    const std::filesystem::path bin = settings.at("bin").get<std::string>();
    programs.agent = bin / "overwinter-launch-agent";
    programs.rank = bin / "overwinter-rank";
    return programs;
  }
  // A launch that nobody of this host's gangs asks for: what a worker gone bad would send.
  void launch(const json& wish) {
    PeerLaunchOrder order;
    order.address = wish.at("peer");
    order.worker = WorkerId(wish.at("worker").get<int>());
    order.key = key_of(wish);
    order.token = wish.at("token");
    order.words = wish.at("words").get<std::vector<std::string>>();
    launches_.push_back(client_.launch(order, [](const PeerLaunchEnd& end) {
      say({{"event", "launch_ended"},
           {"began", end.began},
           {"lost", end.lost},
           {"message", end.message}});
    }));
  }

  const std::filesystem::path leaf_;
  Reporter reporter_;
  PeerClient client_;
  GangLauncher launcher_;
  std::unique_ptr<PeerServer> server_;
  std::vector<std::unique_ptr<PeerLaunches::Launch>> launches_;
};

}  // namespace
}  // namespace overwinter::worker

int main(int argc, char** argv) {
  using namespace overwinter;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!require_tls13().ok()) return 2;
  if (words.size() > 3 && words[0] == "--certificates") {
    worker::make_certificates(words[1], words[2], std::span(words).subspan(3));
    return 0;
  }
  if (words.size() != 1) return 2;
  worker::Host host(nlohmann::json::parse(words[0]));
  for (std::string line; std::getline(std::cin, line);) host.obey(nlohmann::json::parse(line));
  return 0;
}
