#include "worker/gpus/gpus.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "worker/gpus/nvml_library.h"

namespace overwinter::worker::gpus {
namespace {

constexpr std::size_t kTextMax = 96;  // NVML's own bound on UUIDs and names
constexpr int kTries = 4;             // while processes come faster than they are listed

template <class Fill>
Result<std::string> text_of(const Library& library, Fill fill) {
  std::array<char, kTextMax> buffer{};
  if (const nvml::Return code = fill(buffer.data(), static_cast<unsigned>(buffer.size()));
      code != nvml::kSuccess)
    return fail(Code::kUnavailable, library.text(code));
  buffer.back() = '\0';
  std::string text = buffer.data();
  // It goes into variables and onto screens.
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; });
  return text;
}

Result<Gpu> describe(const Library& library, nvml::Device device) {
  auto uuid =
      text_of(library, [&](char* to, unsigned size) { return library.uuid(device, to, size); });
  if (!uuid) return fail(uuid.error());
  auto name =
      text_of(library, [&](char* to, unsigned size) { return library.name(device, to, size); });
  if (!name) return fail(name.error());
  nvml::Memory memory{};
  if (const nvml::Return code = library.memory(device, &memory); code != nvml::kSuccess)
    return fail(Code::kUnavailable, library.text(code));
  if (uuid->empty() || memory.total == 0)
    return fail(Code::kUnavailable, "its driver tells no UUID or no memory");
  Gpu gpu;
  gpu.uuid = std::move(*uuid);
  gpu.name = std::move(*name);
  gpu.memory_bytes = memory.total;
  nvml::Memory2 more{};
  more.version = nvml::kMemory2Version;
  if (library.memory2 != nullptr && library.memory2(device, &more) == nvml::kSuccess)
    gpu.reserved_bytes = std::min<std::uint64_t>(more.reserved, memory.total);
  nvml::PciInfo pci{};
  if (library.pci != nullptr && library.pci(device, &pci) == nvml::kSuccess)
    gpu.pci_bus_id.assign(pci.bus_id, ::strnlen(pci.bus_id, sizeof pci.bus_id));
  unsigned number = 0;
  if (library.minor_number != nullptr && library.minor_number(device, &number) == nvml::kSuccess)
    gpu.number = number;
  return gpu;
}

bool in_mig_mode(const Library& library, nvml::Device device) {
  unsigned now = 0;
  unsigned later = 0;
  return library.mig != nullptr && library.mig(device, &now, &later) == nvml::kSuccess &&
         now == nvml::kMigOn;
}

// The first call asks for how many there are; more may come before the second.
template <class Process, class List>
nvml::Return list_processes(List list, nvml::Device device, std::vector<GpuProcess>& out) {
  unsigned count = 0;
  nvml::Return code = list(device, &count, nullptr);
  std::vector<Process> all;
  for (int tries = 0; tries < kTries && code == nvml::kInsufficientSize; ++tries) {
    all.resize(std::min(count + 16, kProcessesMax));
    count = static_cast<unsigned>(all.size());
    code = list(device, &count, all.data());
  }
  if (code != nvml::kSuccess) return code;
  all.resize(std::min<std::size_t>(count, all.size()));
  for (const Process& process : all) {
    GpuProcess& one = out.emplace_back();
    one.pid = static_cast<pid_t>(process.pid);
    if (process.used != nvml::kNotAvailable) one.used_bytes = process.used;
  }
  return code;
}

}  // namespace

Gpus::Gpus(Gpus&&) noexcept = default;
Gpus::~Gpus() = default;

Gpus Gpus::find(const std::string& library) {
  Gpus gpus;
  gpus.look(library);
  return gpus;
}

void Gpus::look(const std::string& path) {
  auto library = Library::load(path);
  if (!library) {
    why_none_ = library.error().message;
    return;
  }
  library_ = std::move(*library);
  if (library_->driver != nullptr) {
    auto driver = text_of(*library_, library_->driver);
    if (driver) driver_ = std::move(*driver);
  }
  unsigned count = 0;
  if (const nvml::Return code = library_->count(&count); code != nvml::kSuccess) {
    why_none_ = "NVIDIA's driver does not count its GPUs: " + library_->text(code);
    return;
  }
  for (unsigned i = 0; i < std::min(count, kGpusMax); ++i) {
    nvml::Device device = nullptr;
    if (const nvml::Return code = library_->by_index(i, &device); code != nvml::kSuccess) {
      left_out_.push_back(fmt::format("GPU {}: {}", i, library_->text(code)));
    } else if (auto gpu = describe(*library_, device); !gpu) {
      left_out_.push_back(fmt::format("GPU {}: {}", i, gpu.error().message));
    } else if (in_mig_mode(*library_, device)) {
      left_out_.push_back(fmt::format(
          "GPU {} ({}): it is divided by MIG, which this release does not use", i, gpu->uuid));
    } else {
      list_.push_back(std::move(*gpu));
    }
  }
  std::ranges::stable_sort(list_, {}, &Gpu::pci_bus_id);
  if (!list_.empty()) return;
  why_none_ = left_out_.empty() ? "NVIDIA's driver knows no GPU" : left_out_.front();
}

Result<GpuUse> Gpus::use(const std::string& uuid) const {
  const auto known = std::ranges::find(list_, uuid, &Gpu::uuid);
  if (known == list_.end()) return fail(Code::kNotFound, "no GPU here is called " + uuid);
  const auto unavailable = [&](nvml::Return code) {
    return fail(Code::kUnavailable, fmt::format("{}: {}", uuid, library_->text(code)));
  };
  // Anew each time: a handle is not good any more once a GPU has fallen off its bus.
  nvml::Device device = nullptr;
  if (const nvml::Return code = library_->by_uuid(uuid.c_str(), &device); code != nvml::kSuccess)
    return unavailable(code);
  nvml::Memory memory{};
  if (const nvml::Return code = library_->memory(device, &memory); code != nvml::kSuccess)
    return unavailable(code);
  GpuUse use;
  use.used_bytes = memory.used;
  nvml::Return code = nvml::kSuccess;
  if (library_->processes3 != nullptr)
    code = list_processes<nvml::Process3>(library_->processes3, device, use.processes);
  else if (library_->processes1 != nullptr)
    code = list_processes<nvml::Process1>(library_->processes1, device, use.processes);
  // Without a list the device's own number is what counts.
  if (code != nvml::kSuccess) use.processes.clear();
  return use;
}

}  // namespace overwinter::worker::gpus
