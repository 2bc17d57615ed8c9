// What lies in a checkpoint_dir, for CheckpointWatch: names, sizes and times, who still writes,
// whether each file is complete as its format tells, what was renamed into place.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/checkpoint_watch.h"
#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {

// .safetensors: the header is there and the file as long as it says. .pt, .pth, .bin that begin as
// a zip: the directory at the end is there and where it says. Anything else: true.
[[nodiscard]] bool checkpoint_file_complete(const Descriptor& file, std::string_view name);

// Files below `folder` that one of the processes has open for writing, by (device, inode). Of
// processes that may not be looked into (a container without CAP_SYS_PTRACE) nothing is known.
[[nodiscard]] std::set<std::pair<std::uint64_t, std::uint64_t>> open_for_writing(
    const std::vector<pid_t>& pids);

// One thread.
class CheckpointFolder {
 public:
  // `checkpoint_dir` relative to `work`, which the daemon made. The folder may come later.
  CheckpointFolder(std::filesystem::path work, std::string checkpoint_dir);

  // `pids`: all processes of the job. An empty snapshot while the folder is not there.
  [[nodiscard]] Result<CheckpointSnapshot> take(const std::vector<pid_t>& pids);

 private:
  void watch();
  [[nodiscard]] std::set<std::string> renamed();
  [[nodiscard]] bool complete(const InsideFile& file);

  const std::filesystem::path work_;
  const std::string folder_;
  Descriptor notify_;
  std::uint64_t watched_inode_ = 0;
  // What was found complete needs no second look while it is the same.
  std::map<std::string, InsideFile> complete_;
};

}  // namespace overwinter::worker::exec
