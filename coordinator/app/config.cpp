#include "coordinator/app/config.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "common/base/version.h"
#include "common/security/identity.h"

namespace overwinter::app {
namespace {

constexpr int kExitUsage = 2;
constexpr const char* kExamples =
    "Examples:\n"
    "  overwinter-coordinator --data-dir /var/lib/overwinter --name host.example\n"
    "  overwinter-coordinator --data-dir /var/lib/overwinter --name host.example \\\n"
    "    --listen-dashboard 0.0.0.0:7601 --dashboard-cert fullchain.pem --dashboard-key "
    "privkey.pem\n"
    "  overwinter-coordinator --restore cluster.backup --data-dir /var/lib/overwinter\n";

std::string check_address(const std::string& text) {
  const auto colon = text.rfind(':');
  unsigned port = 0;
  if (colon == std::string::npos || colon == 0) return "is not HOST:PORT: " + text;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port > 65535) {
    return "is not HOST:PORT: " + text;
  }
  return {};
}

std::string check_cluster(const std::string& text) {
  if (valid_cluster_name(text)) return {};
  return "1 to 63 of a-z 0-9 . _ - that begin and end with a letter or digit";
}

void declare_ports(CLI::App& app, Config& config) {
  app.add_option("--listen-people", config.listen_people,
                 "HOST:PORT for people; port 0: a free one")
      ->check(check_address)
      ->capture_default_str();
  app.add_option("--listen-workers", config.listen_workers, "HOST:PORT for workers")
      ->check(check_address)
      ->capture_default_str();
  app.add_option("--listen-dashboard", config.listen_dashboard,
                 "HOST:PORT of the dashboard (https)")
      ->check(check_address)
      ->capture_default_str();
  auto* certificate = app.add_option(
      "--dashboard-cert", config.dashboard_certificate,
      "A certificate of your own for the dashboard (PEM, with its chain): browsers open it without "
      "a warning; read again when it changes");
  auto* key = app.add_option("--dashboard-key", config.dashboard_key,
                             "Its private key (PEM, without a passphrase)");
  certificate->needs(key);
  key->needs(certificate);
}

#ifdef OVERWINTER_TEST_SWITCHES
struct TestSwitches {
  int lost_after_ms = 0;
  int probe_every_ms = 0;

  void add_to(CLI::App& app, Config& config) {
    app.add_flag("--allow-test-workloads", config.allow_test_workloads,
                 "Take jobs of workloads that only tests use");
    app.add_option("--test-lost-after-ms", lost_after_ms,
                   "Silence after which a worker is lost; the grace after a start is twice that");
    app.add_option("--test-probe-every-ms", probe_every_ms, "How often it dials its own ports");
  }
  void apply_to(Config& config) const {
    config.lost_after = Duration(lost_after_ms);
    config.probe_every = Duration(probe_every_ms);
  }
};
#endif

}  // namespace

bool parse_command_line(int argc, char** argv, CommandLine& out, int& exit_code) {
  CLI::App app{
      "The Overwinter coordinator: gRPC for people and workers, the dashboard, the store."};
  Config& config = out.config;
  bool new_token = false;
  bool verify = false;
  bool healthy = false;
  bool version = false;
  app.add_option("--data-dir", config.data_dir, "Folder of this coordinator's data (made 0700)");
  app.add_option("--cluster", config.cluster, "Name of the cluster, at the first start")
      ->check(check_cluster);
  app.add_option("--name", config.names, "Host name or address by which others reach this machine");
  declare_ports(app, config);
  app.add_flag("--log-json", config.log_json, "Log lines as JSON");
#ifdef OVERWINTER_TEST_SWITCHES
  TestSwitches switches;
  switches.add_to(app, config);
#endif
  app.add_flag("--new-admin-token", new_token,
               "Write a new admin token to DIR/admin.token and end; the coordinator must not run");
  app.add_flag("--verify", verify,
               "Check the store's chain and rebuild its projection to compare, then end");
  app.add_option("--restore", config.restore_from,
                 "Restore a file of `overwinter backup` into the empty --data-dir, then end; a "
                 "passphrase is asked for, or read from standard input");
  app.footer(kExamples);
  app.add_flag("--healthy", healthy, "Say whether the coordinator of DIR answers, and end: 0 or 1");
  app.add_flag("--version", version, "Print the version and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_code = app.exit(e) == 0 ? 0 : kExitUsage;
    return false;
  }
#ifdef OVERWINTER_TEST_SWITCHES
  switches.apply_to(config);
#endif
  out.mode = version                        ? Mode::kVersion
             : new_token                    ? Mode::kNewAdminToken
             : verify                       ? Mode::kVerify
             : healthy                      ? Mode::kHealthy
             : !config.restore_from.empty() ? Mode::kRestore
                                            : Mode::kServe;
  if (out.mode == Mode::kVersion) {
    std::printf("overwinter-coordinator %s\n", kVersion);
    exit_code = 0;
    return false;
  }
  if (config.data_dir.empty()) {
    std::fprintf(stderr,
                 "error: --data-dir DIR is needed: the folder of this coordinator's data\n");
    exit_code = kExitUsage;
    return false;
  }
  return true;
}

}  // namespace overwinter::app
