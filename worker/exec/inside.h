// Files that a job wrote, read by the daemon, which may read more than the job: no link is
// followed, no path leaves the folder, nothing but regular files is opened. Every name is the job's
// own doing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {

struct InsideFile {
  std::string path;  // relative to what was listed
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const InsideFile&, const InsideFile&) = default;
};

inline constexpr std::size_t kInsideFilesMax = 20'000;
inline constexpr std::size_t kInsideDepthMax = 32;

// A regular file below `folder`, for reading; or a folder itself when `is_folder`. NOT_FOUND: none
// there; INVALID_ARGUMENT: the path leads elsewhere, goes through a link, or is something else.
[[nodiscard]] Result<Descriptor> open_inside(const std::filesystem::path& folder,
                                             std::string_view path, bool is_folder = false);

// All regular files below `path` of `folder` (empty: the folder itself), by path; links and the
// rest are passed over. One file: itself, by its own name. NOT_FOUND: nothing there.
// RESOURCE_EXHAUSTED beyond the bounds above.
[[nodiscard]] Result<std::vector<InsideFile>> list_inside(const std::filesystem::path& folder,
                                                          std::string_view path);

// What the job file's `outputs` name, as paths relative to `folder`, each once; what is not there
// is in `missing`. RESOURCE_EXHAUSTED: more than `bytes_max` together.
struct Outputs {
  std::vector<InsideFile> files;
  std::vector<std::string> missing;
  std::uint64_t bytes = 0;
};
[[nodiscard]] Result<Outputs> collect_outputs(const std::filesystem::path& folder,
                                              const std::vector<std::string>& outputs,
                                              std::uint64_t bytes_max);

}  // namespace overwinter::worker::exec
