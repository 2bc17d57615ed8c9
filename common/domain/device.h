// What a worker has to offer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/domain/host_size.h"
#include "common/domain/ids.h"

namespace overwinter {

// One device of a worker. Its index is its place in the worker's list.
struct DeviceInfo {
  std::string kind = {};           // as in the price book: "cpu", or a GPU's model: "H100", …
  std::string model = {};          // for people: the processor's or the GPU's name
  std::uint64_t memory_bytes = 0;  // the budget that seats share; of a GPU: of its own memory
  std::uint32_t threads = 0;
  double gflops_fp32 = 0;  // measured at worker start on all threads; 0: not measured
  double gflops_fp64 = 0;
  // Of a GPU alone:
  std::string uuid = {};                 // as its driver names it: "GPU-…"
  std::uint64_t memory_total_bytes = 0;  // all that it has; 0: not told
  std::uint64_t host_memory_bytes = 0;   // of its machine, for programs that have all of the GPU
  // Measured too; 0 where fp32 was: it has no instructions for them, they are multiplied as fp32.
  double gflops_bf16 = 0;
  double gflops_fp16 = 0;
  double gflops_int8 = 0;
  // Of a processor: from this side on products are faster by Strassen's method, measured at worker
  // start; 0: none is, or it was not measured.
  std::uint64_t strassen_fp32_side = 0;
  std::uint64_t strassen_fp64_side = 0;
  friend bool operator==(const DeviceInfo&, const DeviceInfo&) = default;
};

// Whatever is no processor.
[[nodiscard]] bool is_gpu(const DeviceInfo& device);

// Whether a device is what a job asks for (the KIND of `workers: {device}`): "any", "cpu", "gpu", a
// kind as the price book has it (in any case), or the least memory of a GPU: "80GB" counts in
// powers of ten, as makers of GPUs name theirs (all of it, not the budget), "80GiB" in those of
// two.
[[nodiscard]] bool suits(std::string_view wish, const DeviceInfo& device);

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
