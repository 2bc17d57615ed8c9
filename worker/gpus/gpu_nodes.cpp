#include "worker/gpus/gpu_nodes.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace overwinter::worker::gpus {
namespace {

namespace fs = std::filesystem;

// Empty: programs may read and write it, as a member of `groups`, which may grow.
std::string let_at(const fs::path& node, const struct stat& status, bool own_uid,
                   std::vector<gid_t>& groups) {
  if (!own_uid) {
    if (::access(node.c_str(), R_OK | W_OK) == 0) return {};
  } else {
    if ((status.st_mode & 06U) == 06U) return {};
    if ((status.st_mode & 060U) == 060U && status.st_gid != 0) {
      if (std::ranges::find(groups, status.st_gid) == groups.end()) groups.push_back(status.st_gid);
      return {};
    }
  }
  return fmt::format("programs may not open {} (mode {:04o}, group {})", node.string(),
                     status.st_mode & 07777U, status.st_gid);
}

}  // namespace

GpuNodes nodes_of(const Gpu& gpu, bool own_uid, const fs::path& folder) {
  std::vector<fs::path> wanted;
  if (gpu.number) {
    wanted.push_back(folder / fmt::format("nvidia{}", *gpu.number));
  } else {
    for (std::uint32_t i = 0; i < kGpusMax; ++i)
      wanted.push_back(folder / fmt::format("nvidia{}", i));
  }
  // dxg: under Windows that is all there is.
  for (const char* name : {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "dxg"})
    wanted.push_back(folder / name);
  GpuNodes nodes;
  for (const fs::path& node : wanted) {
    struct stat status {};
    if (::stat(node.c_str(), &status) != 0) continue;
    std::string why = let_at(node, status, own_uid, nodes.groups);
    if (why.empty())
      nodes.paths.push_back(node.string());
    else if (nodes.why_not.empty())
      nodes.why_not = std::move(why);
  }
  return nodes;
}

}  // namespace overwinter::worker::gpus
