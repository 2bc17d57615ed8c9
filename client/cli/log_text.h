// A line that a program printed, for a terminal that is not that program's own.
#pragma once

#include <string>
#include <string_view>

namespace overwinter::cli {

// Without colours and other escape sequences; of a progress bar that was drawn over and over the
// last drawing; tabs stay; other control characters, of UTF-8 too, become "?".
[[nodiscard]] std::string log_text(std::string_view line);

}  // namespace overwinter::cli
