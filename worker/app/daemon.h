// The daemon: joins when it must, then builds every object, wires them and runs until SIGTERM.
#pragma once

#include "worker/app/options.h"

namespace overwinter::worker {

// Takes SIGTERM, SIGINT and SIGHUP: hands work back, then returns. Returns the exit code;
// everything to say has been said.
[[nodiscard]] int run_worker(const Options& options);

}  // namespace overwinter::worker
