// What a person types and nobody shall see.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "common/base/result.h"

namespace overwinter {

struct HiddenInput {
  int input = 0;          // a descriptor: of a terminal one line is read and not echoed
  int ask = 2;            // where a terminal's prompt goes
  std::string prompt;     // of a terminal alone: "passphrase (not shown): "
  bool one_line = false;  // of anything else too; else all of it
  std::size_t bytes_max = 0;
  std::string otherwise;  // the hint, should the terminal not stop showing it
  // Asked when a signal came: true ends with CANCELLED. Empty: no signal does.
  std::function<bool()> interrupted;
};

// Without the line end at its end. INVALID_ARGUMENT: it is longer than bytes_max, or cannot be
// read, or the terminal shows what is typed.
[[nodiscard]] Result<std::string> read_hidden(const HiddenInput& from);

}  // namespace overwinter
