// check(): an invariant that holds in release builds too. A broken one ends the process; replay is
// the recovery.
#pragma once

#include <source_location>
#include <string_view>

namespace overwinter {

[[noreturn]] void check_failed(std::string_view what, std::source_location where);

inline void check(bool holds, std::string_view what,
                  std::source_location where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace overwinter
