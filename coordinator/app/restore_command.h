// `--restore`: a backup into an empty data folder, and what its owner has to know afterwards.
#pragma once

#include "common/base/result.h"
#include "coordinator/app/config.h"

namespace overwinter::app {

// Prints what was restored on standard output, and on standard error what nobody can know of the
// time after the backup. A passphrase comes from standard input, of a terminal not echoed.
Status restore(const Config& config);

}  // namespace overwinter::app
