#include "coordinator/runtime/disk_failed.h"

#include <unistd.h>

#include "common/base/log.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::runtime {

void end_if_disk_failed(const Status& status) {
  if (!artifacts::is_fatal(status)) return;
  log_error("the artifact store's disk failed: {}; ending, so that a restart finds what is durable",
            status.message);
  ::_exit(kDiskFailedExit);
}

}  // namespace overwinter::runtime
