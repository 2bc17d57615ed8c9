#include "coordinator/app/verify_command.h"

#include <cstdio>

#include "coordinator/app/data_folder.h"
#include "coordinator/backup/restore.h"
#include "coordinator/store/store.h"

namespace overwinter::app {

Status verify(const Config& config) {
  if (Status status = backup::not_being_restored(config.data_dir); !status.ok()) return status;
  const auto report = store::verify_store(DataFolder(config.data_dir).store());
  if (!report) return report.error();
  std::printf("%llu turns, %llu facts, %llu rows of the projection compared\n",
              static_cast<unsigned long long>(report->turns),
              static_cast<unsigned long long>(report->facts),
              static_cast<unsigned long long>(report->rows));
  if (report->turns > 0 && report->rows == 0) {
    std::printf("the projection is of an earlier version: the next start builds it anew\n");
  }
  for (const auto& difference : report->differences)
    std::printf("differs: %s\n", difference.c_str());
  if (report->differences.empty()) return Status::success();
  return error(Code::kDataLoss, "the projection is not what the log says", {},
               "remove store/projection.db*: it is built anew at the next start");
}

}  // namespace overwinter::app
