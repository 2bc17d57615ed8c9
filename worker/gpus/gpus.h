// The GPUs of this machine and what is used of them, by NVIDIA's management library, loaded at run
// time (libnvidia-ml.so.1).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker::gpus {

// Bounds on what a driver may tell: beyond these is cut off.
inline constexpr std::uint32_t kGpusMax = 64;
inline constexpr std::uint32_t kProcessesMax = 4096;

struct Gpu {
  std::string uuid;                     // "GPU-8c2e…"
  std::string name;                     // "NVIDIA H100 80GB HBM3"
  std::string pci_bus_id;               // "00000000:3B:00.0"; empty: not told
  std::uint64_t memory_bytes = 0;       // all of it
  std::uint64_t reserved_bytes = 0;     // of that the driver's own; 0: not told
  std::optional<std::uint32_t> number;  // N of /dev/nvidiaN
};

// `used_bytes`: nothing where the driver does not tell it.
struct GpuProcess {
  pid_t pid = 0;
  std::optional<std::uint64_t> used_bytes;
};
struct GpuUse {
  std::uint64_t used_bytes = 0;  // of the whole device, by whomever
  std::vector<GpuProcess> processes;
};

class Library;

// Thread-safe once made.
class Gpus {
 public:
  // Never fails: where there is no library, no driver or no GPU, the list is empty and why_none()
  // says so in one sentence.
  [[nodiscard]] static Gpus find(const std::string& library = "libnvidia-ml.so.1");
  Gpus(Gpus&&) noexcept;
  Gpus& operator=(Gpus&&) = delete;
  ~Gpus();

  // In the order of their PCI bus ids, which is also CUDA's with CUDA_DEVICE_ORDER=PCI_BUS_ID.
  [[nodiscard]] const std::vector<Gpu>& list() const { return list_; }
  [[nodiscard]] const std::string& why_none() const { return why_none_; }
  // One sentence for each GPU that is there and not in the list.
  [[nodiscard]] const std::vector<std::string>& left_out() const { return left_out_; }
  [[nodiscard]] const std::string& driver() const { return driver_; }  // "550.54.15"; may be empty

  // NOT_FOUND: no such GPU; UNAVAILABLE: the driver does not tell, in its own words.
  [[nodiscard]] Result<GpuUse> use(const std::string& uuid) const;

 private:
  Gpus() = default;
  void look(const std::string& path);

  std::unique_ptr<Library> library_;  // null: none
  std::vector<Gpu> list_;
  std::string why_none_;
  std::vector<std::string> left_out_;
  std::string driver_;
};

}  // namespace overwinter::worker::gpus
