#include "coordinator/app/config.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "common/base/version.h"
#include "common/security/identity.h"

namespace overwinter::app {
namespace {

constexpr int kExitUsage = 2;

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

}  // namespace

bool parse_command_line(int argc, char** argv, CommandLine& out, int& exit_code) {
  CLI::App app{
      "The Overwinter coordinator: gRPC for people and workers, the dashboard, the store."};
  Config& config = out.config;
  bool new_token = false;
  bool verify = false;
  bool version = false;
  app.add_option("--data-dir", config.data_dir, "Folder of this coordinator's data (made 0700)");
  app.add_option("--cluster", config.cluster, "Name of the cluster, at the first start")
      ->check(check_cluster);
  app.add_option("--name", config.names, "Host name or address by which others reach this machine");
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
  app.add_flag("--log-json", config.log_json, "Log lines as JSON");
#ifdef OVERWINTER_TEST_SWITCHES
  app.add_flag("--allow-test-workloads", config.allow_test_workloads,
               "Take jobs of workloads that only tests use");
  int lost_after_ms = 0;
  app.add_option("--test-lost-after-ms", lost_after_ms,
                 "Silence after which a worker is lost; the grace after a start is twice that");
#endif
  app.add_flag("--new-admin-token", new_token,
               "Write a new admin token to DIR/admin.token and end; the coordinator must not run");
  app.add_flag("--verify", verify,
               "Check the store's chain and rebuild its projection to compare, then end");
  app.add_flag("--version", version, "Print the version and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_code = app.exit(e) == 0 ? 0 : kExitUsage;
    return false;
  }
#ifdef OVERWINTER_TEST_SWITCHES
  config.lost_after = Duration(lost_after_ms);
#endif
  out.mode = version     ? Mode::kVersion
             : new_token ? Mode::kNewAdminToken
             : verify    ? Mode::kVerify
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
