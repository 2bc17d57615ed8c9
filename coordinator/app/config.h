// What the coordinator is told at its start. One struct for the whole program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace overwinter::app {

struct Config {
  std::filesystem::path data_dir;
  std::string cluster = "overwinter";  // of a first start; later the stored one counts
  std::vector<std::string> names;      // --name: by which others reach this machine
  std::string listen_people = "127.0.0.1:7600";
  std::string listen_workers = "127.0.0.1:7602";
  std::string listen_dashboard = "127.0.0.1:7601";
  std::filesystem::path dashboard_certificate;  // --dashboard-cert: a chain for browsers, PEM
  std::filesystem::path dashboard_key;          // --dashboard-key; both or none
  bool log_json = false;
  std::filesystem::path restore_from;  // --restore: a file of `overwinter backup`
  // Of test builds alone:
  bool allow_test_workloads = false;
  Duration lost_after{0};   // silence after which a worker is lost, half the grace; 0: as shipped
  Duration probe_every{0};  // its own ports; 0: as shipped
};

enum class Mode { kServe, kNewAdminToken, kVerify, kHealthy, kRestore, kVersion };

struct CommandLine {
  Mode mode = Mode::kServe;
  Config config;
};

// Parses argv. Prints usage or what is wrong and sets `exit_code` when there is nothing to do.
[[nodiscard]] bool parse_command_line(int argc, char** argv, CommandLine& out, int& exit_code);

}  // namespace overwinter::app
