// The cluster at a glance, the same over gRPC and as JSON.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/runtime/costs.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"
#include "overwinter/v1/admin.pb.h"

namespace overwinter::runtime {

// Since when this process serves, where its page is, and its files. Written once, before anybody is
// served.
struct Serving {
  Time started{};
  std::string dashboard;
  std::filesystem::path data_dir = {};
  std::filesystem::path leaf_dir = {};          // of its certificate (leaf_store.h)
  std::filesystem::path page_certificate = {};  // the operator's for the page; empty: none
  int workers_port = 0;
};

// For `caller`: jobs of its project alone; money of machines where it may see that, else of its
// project's jobs. Reads the disk: on the pool.
[[nodiscard]] Result<v1::ClusterStatus> cluster_status(const Views& views, const Costs& costs,
                                                       store::Store& store, const Serving& serving,
                                                       const Principal& caller, Time now);

}  // namespace overwinter::runtime
