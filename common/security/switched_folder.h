// A set of files that change as one: DIR/NAME is a symbolic link to DIR/NAME-XXXXXX, replaced by
// one rename.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter {

struct NamedFile {
  std::string name;
  std::string content;
  mode_t mode;
};

// Writes `files` into a new folder, fsyncs them and points DIR/NAME at it. After a crash either the
// old or the new set is there, whole. The set before stays until the next switch, for those who are
// reading it.
Status switch_folder(const std::filesystem::path& dir, std::string_view name,
                     const std::vector<NamedFile>& files);

}  // namespace overwinter
