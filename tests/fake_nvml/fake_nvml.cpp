// Answers as NVIDIA's management library does, from the file that OVERWINTER_FAKE_NVML names, read
// anew at each call. Its lines:
//
//   init CODE
//   gpu UUID TOTAL USED RESERVED MIG NUMBER BUS NAME…
//   lost UUID CODE               what is asked of that GPU fails so
//   process UUID PID USED        USED "-": the driver does not tell
//
// With FAKE_NVML_OLD it has the functions of a driver before 470 alone.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr int kSuccess = 0;
constexpr int kInvalid = 2;
constexpr int kNotFound = 6;
constexpr int kInsufficient = 7;
constexpr int kDriverNotLoaded = 9;
constexpr unsigned long long kNotTold = ~0ULL;

struct FakeProcess {
  unsigned pid = 0;
  unsigned long long used = 0;
};
struct FakeGpu {
  std::string uuid, bus, name;
  unsigned long long total = 0, used = 0, reserved = 0;
  unsigned mig = 0, number = 0;
  int lost = kSuccess;
  std::vector<FakeProcess> processes;
};
struct State {
  int init = kDriverNotLoaded;
  std::vector<FakeGpu> gpus;
  FakeGpu* find(const std::string& uuid) {
    for (FakeGpu& gpu : gpus)
      if (gpu.uuid == uuid) return &gpu;
    return nullptr;
  }
};

State read_state() {
  State state;
  const char* path = std::getenv("OVERWINTER_FAKE_NVML");
  std::ifstream file(path == nullptr ? "" : path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::string word, uuid;
    in >> word;
    if (word == "init") {
      in >> state.init;
      continue;
    }
    in >> uuid;
    if (word == "gpu") {
      FakeGpu gpu;
      gpu.uuid = uuid;
      in >> gpu.total >> gpu.used >> gpu.reserved >> gpu.mig >> gpu.number >> gpu.bus >> std::ws;
      std::getline(in, gpu.name);
      state.gpus.push_back(gpu);
    } else if (FakeGpu* gpu = state.find(uuid); gpu != nullptr && word == "lost") {
      in >> gpu->lost;
    } else if (gpu != nullptr && word == "process") {
      std::string used;
      FakeProcess process;
      in >> process.pid >> used;
      process.used = used == "-" ? kNotTold : std::stoull(used);
      gpu->processes.push_back(process);
    }
  }
  return state;
}

// A handle is the GPU's place and one.
template <class Answer>
int of_device(void* device, Answer answer) {
  const State state = read_state();
  const auto place = reinterpret_cast<std::uintptr_t>(device);
  if (place == 0 || place > state.gpus.size()) return kInvalid;
  const FakeGpu& gpu = state.gpus[place - 1];
  return gpu.lost != kSuccess ? gpu.lost : answer(gpu);
}

int put(const std::string& text, char* to, unsigned size) {
  if (text.size() + 1 > size) return kInsufficient;
  std::memcpy(to, text.c_str(), text.size() + 1);
  return kSuccess;
}

template <class Process>
int list(void* device, unsigned* count, Process* to) {
  return of_device(device, [&](const FakeGpu& gpu) {
    const auto all = static_cast<unsigned>(gpu.processes.size());
    const bool fits = all <= *count;
    *count = all;
    if (!fits) return kInsufficient;
    for (unsigned i = 0; i < all; ++i) {
      to[i] = {};
      to[i].pid = gpu.processes[i].pid;
      to[i].used = gpu.processes[i].used;
    }
    return kSuccess;
  });
}

// Written out once more, from the documentation: with the loader's own a mistake there would be
// made here too, and nobody see it.
struct Memory {
  unsigned long long total, free, used;
};
struct Process1 {
  unsigned pid;
  unsigned long long used;
};
struct Process3 {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};
struct Memory2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};
struct Pci {
  char legacy[16];
  unsigned domain, bus, device, id, subsystem;
  char bus_id[32];
};

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return read_state().init;
}
int nvmlShutdown() {
  return kSuccess;
}
const char* nvmlErrorString(int code) {
  return code == kDriverNotLoaded ? "Driver Not Loaded" : "Unknown Error";
}
int nvmlSystemGetDriverVersion(char* to, unsigned size) {
  return put("550.54.15", to, size);
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(read_state().gpus.size());
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(static_cast<std::uintptr_t>(index) + 1);
  return of_device(*device, [](const FakeGpu&) { return kSuccess; });
}
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  const State state = read_state();
  for (std::size_t i = 0; i < state.gpus.size(); ++i)
    if (state.gpus[i].uuid == uuid)
      return nvmlDeviceGetHandleByIndex_v2(static_cast<unsigned>(i), device);
  return kNotFound;
}
int nvmlDeviceGetUUID(void* device, char* to, unsigned size) {
  return of_device(device, [&](const FakeGpu& gpu) { return put(gpu.uuid, to, size); });
}
int nvmlDeviceGetName(void* device, char* to, unsigned size) {
  return of_device(device, [&](const FakeGpu& gpu) { return put(gpu.name, to, size); });
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* to) {
  return of_device(device, [&](const FakeGpu& gpu) {
    *to = {gpu.total, gpu.total - std::min(gpu.total, gpu.used), gpu.used};
    return kSuccess;
  });
}
#ifdef FAKE_NVML_OLD
int nvmlDeviceGetComputeRunningProcesses(void* device, unsigned* count, Process1* to) {
  return list(device, count, to);
}
#else
int nvmlDeviceGetMemoryInfo_v2(void* device, Memory2* to) {
  if (to->version != (sizeof(Memory2) | 2U << 24)) return 25;
  return of_device(device, [&](const FakeGpu& gpu) {
    *to = {to->version, gpu.total, gpu.reserved, gpu.total - std::min(gpu.total, gpu.used),
           gpu.used};
    return kSuccess;
  });
}
int nvmlDeviceGetPciInfo_v3(void* device, Pci* to) {
  return of_device(device, [&](const FakeGpu& gpu) {
    *to = {};
    return put(gpu.bus, to->bus_id, sizeof to->bus_id);
  });
}
int nvmlDeviceGetMigMode(void* device, unsigned* now, unsigned* later) {
  return of_device(device, [&](const FakeGpu& gpu) {
    *now = *later = gpu.mig;
    return kSuccess;
  });
}
int nvmlDeviceGetMinorNumber(void* device, unsigned* number) {
  return of_device(device, [&](const FakeGpu& gpu) {
    *number = gpu.number;
    return kSuccess;
  });
}
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, Process3* to) {
  return list(device, count, to);
}
#endif

}  // extern "C"
