// `--verify`: what the log of turns says, and whether the projection says the same.
#pragma once

#include "common/base/result.h"
#include "coordinator/app/config.h"

namespace overwinter::app {

// Prints what was compared. OK when nothing differs. The coordinator must not run.
[[nodiscard]] Status verify(const Config& config);

}  // namespace overwinter::app
