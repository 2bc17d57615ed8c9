// What a worker has to offer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/domain/host_size.h"
#include "common/domain/ids.h"

namespace overwinter {

// One device of a worker. Its index is its place in the worker's list.
struct DeviceInfo {
  std::string kind;                // as in the price book: "cpu", later "H100", …
  std::string model;               // for people: the processor's name
  std::uint64_t memory_bytes = 0;  // the budget that seats share
  std::uint32_t threads = 0;
  double gflops_fp32 = 0;  // measured at worker start on all threads; 0: not measured
  double gflops_fp64 = 0;
  friend bool operator==(const DeviceInfo&, const DeviceInfo&) = default;
};

// What a worker says of its machine at each Hello.
struct MachineInfo {
  std::string host_id;  // equal for two workers of one machine, different across machines
  std::string host_name;
  std::string version;  // of the program, "0.1.0"
  std::vector<DeviceInfo> devices;
  bool same_host_as_coordinator = false;

  // For gangs. Workers form one when they are on one host or on one network.
  std::string
      peer_address;     // "10.0.0.7:7610", where its peer port answers; empty: takes part in none
  std::string network;  // "10.0.0.0/24", that of the peer address; empty: none but its own host
  bool shared_network = false;  // gangs of other projects may be on that network at the same time
  std::string no_exec;  // why it runs no program of users ("--no-exec", "cannot confine: …");
                        // empty: it does
  std::string memory_limit;  // how it limits such a program: "cgroup2", "cgroup1", "watchdog"
  HostSize host = {};
  friend bool operator==(const MachineInfo&, const MachineInfo&) = default;
};

}  // namespace overwinter
