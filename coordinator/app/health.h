// `--healthy`: whether the coordinator of a data folder answers, for the health checks of
// containers and supervisors, which start a process for each.
#pragma once

#include "common/base/result.h"
#include "coordinator/app/config.h"

namespace overwinter::app {

// Asks /readyz of the port that run/endpoints.json names, by TLS, within five seconds. The port's
// certificate is not checked: nothing is told to it, and the folder is this process's own.
// UNAVAILABLE says what came instead of "ready"; NOT_FOUND: no coordinator ran with this folder.
[[nodiscard]] Status healthy(const Config& config);

}  // namespace overwinter::app
