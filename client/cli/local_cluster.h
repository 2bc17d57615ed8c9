// A cluster on this machine: a coordinator and workers as plain processes in a folder (INTERFACE
// §2). Nothing supervises them; `up` starts again what is not running.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::cli {

// What the folder was made with. Kept in DIR/settings.json; a later `up` may not change it.
struct ClusterSettings {
  std::uint32_t workers = 2;
  std::vector<std::string> devices;  // of every worker; empty: the worker's own default
  std::uint16_t people_port = 0;
  std::uint16_t workers_port = 0;
  std::uint16_t dashboard_port = 0;
};

// Where things are in the folder.
struct ClusterFolder {
  std::string dir;
  [[nodiscard]] std::string settings() const { return dir + "/settings.json"; }
  [[nodiscard]] std::string cluster_json() const { return dir + "/cluster.json"; }
  [[nodiscard]] std::string pid_file(const std::string& program) const {
    return dir + "/run/" + program + ".pid";
  }
  [[nodiscard]] std::string log_file(const std::string& program) const {
    return dir + "/log/" + program + ".log";
  }
  [[nodiscard]] std::string data(const std::string& program) const { return dir + "/" + program; }
  [[nodiscard]] std::string ca() const { return dir + "/coordinator/ca/root.pem"; }
  [[nodiscard]] std::string token() const { return dir + "/coordinator/admin.token"; }
};

// DIR, else ${XDG_STATE_HOME:-~/.local/state}/overwinter; absolute.
[[nodiscard]] ClusterFolder cluster_folder(const std::string& dir);

[[nodiscard]] Result<std::optional<ClusterSettings>> load_settings(const ClusterFolder& folder);
[[nodiscard]] Status save_settings(const ClusterFolder& folder, const ClusterSettings& settings);

// `wanted` where it is free on 127.0.0.1, else a port that is.
[[nodiscard]] std::uint16_t free_port(std::uint16_t wanted);

// Program beside this one: overwinter-coordinator, overwinter-worker.
[[nodiscard]] Result<std::string> program_path(const std::string& name);

// The pid in the file when that process runs and is `program`; absent otherwise.
[[nodiscard]] std::optional<pid_t> running(const ClusterFolder& folder, const std::string& name,
                                           const std::string& program);

// Starts a process of its own session, its output appended to its log, and writes its pid file.
[[nodiscard]] Result<pid_t> start_process(const ClusterFolder& folder, const std::string& name,
                                          const std::vector<std::string>& command);

// The last lines of a log, for the message when a start failed.
[[nodiscard]] std::string log_tail(const ClusterFolder& folder, const std::string& name);

}  // namespace overwinter::cli
