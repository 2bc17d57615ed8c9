// The admin token: made by the first start, or anew by `--new-admin-token`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "coordinator/app/config.h"
#include "coordinator/core/event.h"

namespace overwinter::app {

[[nodiscard]] core::TokenCreateRequested admin_token_event(const std::string& token);
// `--new-admin-token`: offline, for the folder's owner. Returns the file that holds it.
[[nodiscard]] Result<std::string> make_admin_token(const Config& config);

}  // namespace overwinter::app
