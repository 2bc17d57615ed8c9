#include "common/base/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>

#include <cerrno>
#include <memory>

namespace overwinter {

Descriptors descriptors_of_process() {
  Descriptors out;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.limit = limit.rlim_cur;
  const auto close = [](DIR* folder) { ::closedir(folder); };
  const std::unique_ptr<DIR, decltype(close)> folder(::opendir("/proc/self/fd"), close);
  if (!folder) {
    if (errno == EMFILE) out.open = out.limit;
    return out;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.') ++out.open;
  }
  if (out.open > 0) --out.open;  // the folder itself
  return out;
}

}  // namespace overwinter
