// What of /dev a program has to open to use a GPU.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "worker/gpus/gpus.h"

namespace overwinter::worker::gpus {

struct GpuNodes {
  std::vector<std::string> paths;  // to be read and written
  std::vector<gid_t> groups;       // that let a user id of a job's own at them
  std::string why_not;             // one sentence: programs cannot use it; empty: they can
};

// The GPU's own node (all GPUs' where the driver does not number it) and those that all GPUs share,
// as far as they are there (a driver whose nodes are missing tells of no GPU). `own_uid`: programs
// run as users of their own, which get the groups; else as this process's.
[[nodiscard]] GpuNodes nodes_of(const Gpu& gpu, bool own_uid,
                                const std::filesystem::path& folder = "/dev");

}  // namespace overwinter::worker::gpus
