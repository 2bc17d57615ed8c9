// GPUs of a test's own: the state that tests/fake_nvml answers from, which the loader of
// worker/gpus loads as it would load NVIDIA's library.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace overwinter::test {

class FakeNvml {
 public:
  struct Gpu {
    std::string uuid;
    std::uint64_t total = std::uint64_t{16} << 30;
    std::uint64_t used = 0;
    std::uint64_t reserved = 0;
    bool mig = false;
    unsigned number = 0;
    std::string bus = "00000000:01:00.0";
    std::string name = "NVIDIA H100 80GB HBM3";
  };
  struct Process {
    std::string uuid;
    pid_t pid = 0;
    std::optional<std::uint64_t> used;
  };

  // Its file lies in `folder`; this process's loader, and what it starts, finds it.
  explicit FakeNvml(const std::filesystem::path& folder) : file_(folder / "nvml") {
    ::setenv("OVERWINTER_FAKE_NVML", file_.c_str(), 1);
  }
  static std::string library() { return beside("fake-nvml"); }
  static std::string old_library() { return beside("fake-nvml-old"); }

  int init = 0;
  std::vector<Gpu> gpus;
  std::vector<Process> processes;
  std::map<std::string, int> lost;  // UUID to the error of every call

  // At once: a reader sees the state before or after.
  void save() const {
    const std::filesystem::path next = file_.string() + ".next";
    {
      std::ofstream out(next);
      out << "init " << init << "\n";
      for (const Gpu& gpu : gpus)
        out << "gpu " << gpu.uuid << ' ' << gpu.total << ' ' << gpu.used << ' ' << gpu.reserved
            << ' ' << gpu.mig << ' ' << gpu.number << ' ' << gpu.bus << ' ' << gpu.name << "\n";
      for (const auto& [uuid, code] : lost) out << "lost " << uuid << ' ' << code << "\n";
      for (const Process& process : processes)
        out << "process " << process.uuid << ' ' << process.pid << ' '
            << (process.used ? std::to_string(*process.used) : "-") << "\n";
    }
    std::filesystem::rename(next, file_);
  }

 private:
  static std::string beside(const std::string& folder) {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / folder /
           "libnvidia-ml.so.1";
  }
  const std::filesystem::path file_;
};

}  // namespace overwinter::test
