// A job's lines on standard output, as they come.
#pragma once

#include "client/cli/globals.h"
#include "overwinter/v1/log.pb.h"

namespace overwinter::cli {

// Lines of several ranks or attempts begin with whose they are. Sits out a restart of the
// coordinator; CANCELLED: the person or --timeout ended it.
[[nodiscard]] Status print_logs(const Globals& globals, client::Client& client,
                                const v1::ReadLogsRequest& request, const v1::Job& job);

}  // namespace overwinter::cli
