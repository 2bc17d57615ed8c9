// The few functions of NVML that are called, by our own prototypes: layouts and numbers as its
// public documentation gives them. Internal to the room.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.h"

namespace overwinter::worker::gpus {

namespace nvml {

using Return = int;  // 0: success
inline constexpr Return kSuccess = 0;
inline constexpr Return kInsufficientSize = 7;
inline constexpr unsigned long long kNotAvailable = ~0ULL;
inline constexpr unsigned kMigOn = 1;

struct DeviceTag;
using Device = DeviceTag*;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
// Its version field is sizeof | number << 24.
struct Memory2 {
  unsigned version;
  unsigned long long total;
  unsigned long long reserved;
  unsigned long long free;
  unsigned long long used;
};
inline constexpr unsigned kMemory2Version = sizeof(Memory2) | (2U << 24);
struct PciInfo {
  char legacy[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
// Of drivers before 470; then with two more fields, in _v2 and _v3 alike.
struct Process1 {
  unsigned pid;
  unsigned long long used;
};
struct Process3 {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};

}  // namespace nvml

// The library, initialised; shut down by the destructor. Functions that may be null say so. It
// stays loaded: a driver's library is not one to unload.
class Library {
 public:
  // UNAVAILABLE: there is none, it lacks what is needed, or the driver does not answer.
  [[nodiscard]] static Result<std::unique_ptr<Library>> load(const std::string& path);
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library();

  // What the library says about a number that it returned.
  [[nodiscard]] std::string text(nvml::Return code) const;

  nvml::Return (*count)(unsigned*) = nullptr;
  nvml::Return (*by_index)(unsigned, nvml::Device*) = nullptr;
  nvml::Return (*by_uuid)(const char*, nvml::Device*) = nullptr;
  nvml::Return (*uuid)(nvml::Device, char*, unsigned) = nullptr;
  nvml::Return (*name)(nvml::Device, char*, unsigned) = nullptr;
  nvml::Return (*memory)(nvml::Device, nvml::Memory*) = nullptr;
  // These may be null.
  nvml::Return (*memory2)(nvml::Device, nvml::Memory2*) = nullptr;
  nvml::Return (*pci)(nvml::Device, nvml::PciInfo*) = nullptr;
  nvml::Return (*mig)(nvml::Device, unsigned*, unsigned*) = nullptr;
  nvml::Return (*minor_number)(nvml::Device, unsigned*) = nullptr;
  nvml::Return (*driver)(char*, unsigned) = nullptr;
  nvml::Return (*processes3)(nvml::Device, unsigned*, nvml::Process3*) = nullptr;
  nvml::Return (*processes1)(nvml::Device, unsigned*, nvml::Process1*) = nullptr;

 private:
  Library() = default;
  Status take_symbols();

  void* handle_ = nullptr;
  bool initialised_ = false;
  nvml::Return (*init_)() = nullptr;
  nvml::Return (*shutdown_)() = nullptr;
  const char* (*error_)(nvml::Return) = nullptr;  // may be null
};

}  // namespace overwinter::worker::gpus
