// Small files that are visible only when whole and durable. Internal to this room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

inline constexpr std::uint64_t kSmallFileMax = 4096;

// kNotFound when it is not there; kInternal when it has more than `bytes_max`.
[[nodiscard]] Result<std::string> read_small_file(FilePort& files, const std::string& path,
                                                  std::uint64_t bytes_max = kSmallFileMax);

// Temporary file `name`.part, sync, rename, sync of the folder. Replaces what is there. After an
// error nothing half done stays.
[[nodiscard]] Status write_small_file(FilePort& files, const std::string& folder,
                                      const std::string& name, std::string_view text);

}  // namespace overwinter::artifacts
