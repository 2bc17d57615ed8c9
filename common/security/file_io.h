// Files that hold secrets: private folders, atomic writes, reads with a bound.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

inline constexpr mode_t kPrivateFile = 0600;
inline constexpr mode_t kPublicFile = 0644;

// Makes `path` (its last part; the parent must be there) a folder with mode 0700, or checks that it
// is a folder that is ours and that nobody else can enter. FAILED_PRECONDITION says how to repair
// it.
Status ensure_private_folder(const std::filesystem::path& path);

// Writes through a temporary file beside `path`: written, fsynced, renamed, folder fsynced. After
// success the content survives a crash; after an error `path` is as it was and no temporary file is
// left.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content,
                             mode_t mode = kPrivateFile);

// The whole file. NOT_FOUND when there is none; INVALID_ARGUMENT when it is longer than `bytes_max`
// or no regular file. Never reads more than bytes_max + 1 bytes.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t bytes_max);

// True when someone but the owner may read or write it.
[[nodiscard]] bool others_can_access(const std::filesystem::path& path);

// Makes the entries of a folder durable.
Status fsync_folder(const std::filesystem::path& path);

}  // namespace overwinter
