// A secret's value, as it comes in.
#pragma once

#include <string>

#include "common/base/result.h"

namespace overwinter::cli {

// From `input`: all of it, one line end at its end dropped; of a terminal one line, asked for on
// `ask` and not echoed. INVALID_ARGUMENT: longer than 64 KiB; CANCELLED: interrupted.
[[nodiscard]] Result<std::string> read_secret(int input, int ask, const std::string& name);

}  // namespace overwinter::cli
