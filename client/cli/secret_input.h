// A secret's value or a passphrase, as it comes in.
#pragma once

#include <string>

#include "common/base/result.h"

namespace overwinter::cli {

// From `input`: all of it, one line end at its end dropped; of a terminal one line, asked for on
// `ask` and not echoed. INVALID_ARGUMENT: longer than 64 KiB; CANCELLED: interrupted.
[[nodiscard]] Result<std::string> read_secret(int input, int ask, const std::string& name);

// For what is to be sealed: one line, of a terminal not echoed and (`twice`) asked for again.
// INVALID_ARGUMENT: too short, too long, or not the same; CANCELLED: interrupted.
[[nodiscard]] Result<std::string> read_new_passphrase(int input, int ask, bool twice);

}  // namespace overwinter::cli
