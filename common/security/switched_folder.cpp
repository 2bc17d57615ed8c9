#include "common/security/switched_folder.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/security/file_io.h"
#include "common/security/random.h"

namespace overwinter {
namespace {

namespace fs = std::filesystem;

// Removes sets that are neither `current` nor `before`, and links a crash left.
void sweep(const fs::path& dir, std::string_view name, const fs::path& current,
           const fs::path& before) {
  std::error_code ignored;
  std::vector<fs::path> old;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, ignored)) {
    const fs::path file = entry.path().filename();
    if (file.string().starts_with(fmt::format("{}-", name)) && file != current && file != before)
      old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove_all(path, ignored);
}

}  // namespace

Status switch_folder(const fs::path& dir, std::string_view name,
                     const std::vector<NamedFile>& files) {
  std::error_code ignored;
  const fs::path link = dir / name;
  const fs::path before = fs::read_symlink(link, ignored).filename();
  const fs::path current = fmt::format("{}-{}", name, random_id(10));
  if (Status status = ensure_private_folder(dir / current); !status.ok()) return status;
  for (const NamedFile& file : files) {
    Status status = write_file_atomically(dir / current / file.name, file.content, file.mode);
    if (status.ok()) continue;
    fs::remove_all(dir / current, ignored);
    return status;
  }
  const fs::path temporary = dir / fmt::format("{}-link-{}", name, random_id(6));
  if (::symlink(current.c_str(), temporary.c_str()) != 0 ||
      ::rename(temporary.c_str(), link.c_str()) != 0) {
    const int number = errno;
    fs::remove(temporary, ignored);
    fs::remove_all(dir / current, ignored);
    return error(Code::kInternal,
                 fmt::format("cannot switch {}: {}", link.string(), std::strerror(number)));
  }
  if (Status status = fsync_folder(dir); !status.ok()) return status;
  sweep(dir, name, current, before);
  return Status::success();
}

}  // namespace overwinter
