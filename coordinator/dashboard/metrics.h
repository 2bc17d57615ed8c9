// The cluster as Prometheus text: names begin with overwinter_, base units.
#pragma once

#include <string>

#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

// What `caller` may know: jobs and their cost of its project, machines' cost where it sees all
// money, what the coordinator itself counts where it sees all projects. May wait for the disk
// (bills).
[[nodiscard]] std::string metrics_text(const Sources& sources, const Principal& caller, Time now);

}  // namespace overwinter::dashboard
