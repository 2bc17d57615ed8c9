#include <algorithm>
#include <fstream>
#include <future>
#include <utility>

#include "common/base/bytes.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/measure_strassen.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/pool_resource.h"
#include "worker/runtime/device.h"
#include "worker/runtime/executor.h"

namespace overwinter::worker {
namespace {

// What stays warm for the next seat when seats have ended.
constexpr std::uint64_t kKeptShare = 8;
constexpr std::uint64_t kKeptBytesMax = 256 * kMiB;

class CpuDevice final : public Device {
 public:
  CpuDevice(std::uint64_t memory_bytes, std::uint32_t threads, DeviceIndex index)
      : pool_(host_, {.keep_bytes = std::min(memory_bytes / kKeptShare, kKeptBytesMax)}),
        memory_(pool_, memory_bytes, "device " + std::to_string(index)),
        team_(threads),
        gemm_(team_, host_) {  // a seat is charged for its workspace
    info_.kind = "cpu";
    info_.model = cpu_model();
    info_.memory_bytes = memory_bytes;
    info_.threads = team_.size();
  }

  const DeviceInfo& info() const override { return info_; }
  LimitingResource& memory() override { return memory_; }
  void trim() override { pool_.trim(); }
  GemmBackend& gemm() override { return gemm_; }
  ThreadTeam& team() override { return team_; }
  void post(std::function<void()> task) override { executor_.post(std::move(task)); }

  void measure(double seconds) {
    run([&] {
      const std::pair<GemmType, double*> speeds[] = {{GemmType::kFp32, &info_.gflops_fp32},
                                                     {GemmType::kFp64, &info_.gflops_fp64},
                                                     {GemmType::kBf16, &info_.gflops_bf16},
                                                     {GemmType::kFp16, &info_.gflops_fp16},
                                                     {GemmType::kInt8, &info_.gflops_int8}};
      for (const auto& [type, gflops] : speeds) {
        if (!gemm_.widens(type)) *gflops = measure_gflops(gemm_, type, seconds / kGemmTypes);
      }
    });
  }

  std::string choose(GemmChoices& known, double seconds_each) {
    std::string said;
    run([&] {
      auto at = known.by_threads.find(team_.size());
      if (at == known.by_threads.end()) {
        at = known.by_threads.emplace(team_.size(), measure_gemm_choice(gemm_, seconds_each)).first;
        gemm_.use(at->second);  // what is left of halved products is multiplied by it
        at->second.strassen_fp32_side =
            measure_strassen_side(gemm_, team_, GemmType::kFp32, 2 * seconds_each);
        at->second.strassen_fp64_side =
            measure_strassen_side(gemm_, team_, GemmType::kFp64, 2 * seconds_each);
      }
      gemm_.use(at->second);
      info_.strassen_fp32_side = at->second.strassen_fp32_side;
      info_.strassen_fp64_side = at->second.strassen_fp64_side;
      if (!known.by_threads.contains(1)) {
        ThreadTeam alone(1);
        ChosenGemm single(alone, memory_);
        known.by_threads.emplace(1, measure_gemm_choice(single, seconds_each));
      }
      said = describe(gemm_);
    });
    pool_.trim();  // an idle worker keeps nothing of it
    return said;
  }

 private:
  // Where its kernels run, to the end.
  void run(const std::function<void()>& task) {
    std::promise<void> done;
    post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  HostResource host_;
  PoolResource pool_;  // below the limit, which counts what seats ask for and nothing else
  LimitingResource memory_;
  ThreadTeam team_;
  ChosenGemm gemm_;
  DeviceInfo info_;
  Executor executor_;  // last: its thread uses the rest
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(std::uint64_t memory_bytes, std::uint32_t threads,
                                        DeviceIndex index) {
  return std::make_unique<CpuDevice>(memory_bytes, threads, index);
}

void measure(Device& device, double seconds) {
  if (auto* cpu = dynamic_cast<CpuDevice*>(&device)) cpu->measure(seconds);
}

std::string choose_gemm(Device& device, GemmChoices& known, double seconds_each) {
  auto* cpu = dynamic_cast<CpuDevice*>(&device);
  return cpu != nullptr ? cpu->choose(known, seconds_each) : std::string();
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "cpu";
}

}  // namespace overwinter::worker
