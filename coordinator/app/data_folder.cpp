#include "coordinator/app/data_folder.h"

#include <system_error>

#include "common/security/file_io.h"

namespace overwinter::app {

Status DataFolder::make() const {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(root);
  std::filesystem::create_directories(absolute.parent_path(), failed);
  if (failed) {
    return error(Code::kFailedPrecondition, "the folder " + absolute.parent_path().string() +
                                                " cannot be made: " + failed.message());
  }
  if (Status status = ensure_private_folder(absolute); !status.ok()) return status;
  if (Status status = ensure_private_folder(absolute / "artifacts"); !status.ok()) return status;
  return ensure_private_folder(absolute / "run");
}

}  // namespace overwinter::app
