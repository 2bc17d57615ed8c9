// What the command line says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/money.h"
#include "common/base/result.h"
#include "worker/exec/mounts.h"

namespace overwinter::worker {

// One --device, as it was asked for; what it leaves open (0) is filled in by device_plan.h.
struct DeviceSpec {
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  bool gpu = false;
  // Of a GPU:
  std::string uuid = {};                // empty: each GPU that no other --device names
  std::uint64_t host_memory_bytes = 0;  // of the machine
  friend bool operator==(const DeviceSpec&, const DeviceSpec&) = default;
};

struct Options {
  std::filesystem::path join_file;  // empty: has joined before
  std::string name;
  std::vector<DeviceSpec> devices;  // empty: all that the machine has
  std::map<std::string, std::string> labels;
  std::vector<std::string> projects;
  bool spot = false;
  std::optional<Money> price_per_hour;
  std::filesystem::path data_dir;
  std::string peer_address;     // --peer-address; empty: that of the way to the coordinator
  bool shared_network = false;  // --shared-network
  std::filesystem::path job_dir = "/var/lib/overwinter/jobs";
  bool no_exec = false;                          // --no-exec
  std::vector<exec::AllowedMount> allow_mounts;  // --allow-mount
  bool log_json = false;
  bool healthy = false;  // --healthy: says whether the daemon of the folder is connected, and ends
  // Only in builds for tests:
  std::string lie;                     // --test-lie
  std::string version;                 // --test-version; empty: its own
  int days_ahead = 0;                  // --test-days-ahead
  std::uint64_t units_per_second = 0;  // --test-units-per-second; 0: work as it is
};

// "cpu", "cpu:memory=4GiB,threads=1", "gpu",
// "gpu:uuid=GPU-…,memory=40GiB,threads=8,host-memory=64GiB". INVALID_ARGUMENT says what is wrong
// with it.
[[nodiscard]] Result<DeviceSpec> parse_device(std::string_view text);
// "1.89/h".
[[nodiscard]] Result<Money> parse_hourly_price(std::string_view text);

struct Parsed {
  Options options;
  std::optional<int> exit;  // to leave with (help, a mistake); everything to say has been said
};
[[nodiscard]] Parsed parse_options(int argc, const char* const* argv);

// ${XDG_STATE_HOME:-~/.local/state}/overwinter-worker; /var/lib/overwinter-worker for root.
[[nodiscard]] std::filesystem::path default_data_dir();

}  // namespace overwinter::worker
