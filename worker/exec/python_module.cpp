#include "worker/exec/python_module.h"

extern "C" {
extern const char overwinter_python_begin[];
extern const char overwinter_python_end[];
}

namespace overwinter::worker::exec {

std::string_view python_module() {
  return {overwinter_python_begin,
          static_cast<std::size_t>(overwinter_python_end - overwinter_python_begin)};
}

}  // namespace overwinter::worker::exec
