// overwinter.py, which lies on the path of each job (INTERFACE §3), as it stands in this room.
#pragma once

#include <string_view>

namespace overwinter::worker::exec {

[[nodiscard]] std::string_view python_module();

}  // namespace overwinter::worker::exec
