#include "common/base/check.h"

#include <cstdlib>

#include "common/base/log.h"

namespace overwinter {

void check_failed(std::string_view what, std::source_location where) {
  log_error("broken invariant: {} ({}:{})", what, where.file_name(), where.line());
  std::abort();
}

}  // namespace overwinter
