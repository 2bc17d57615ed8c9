// What a caller may know of jobs and projects, and lists of them. The same for gRPC and for HTTP.
// Another project's name is answered like one that does not exist.
#pragma once

#include <string_view>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/history.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// OK when the project exists and the caller sees it; else NOT_FOUND.
Status check_project(const Views& views, const Principal& caller, std::string_view project);
// The job of a resource name.
[[nodiscard]] Result<JobViewPtr> find_job(const Views& views, const Principal& caller,
                                          std::string_view name);
// The same of jobs that left the core an hour or more ago. Reads the disk: on the pool.
[[nodiscard]] Result<JobViewPtr> find_past_job(store::History& history, const Principal& caller,
                                               std::string_view name);
// A page of jobs. INVALID_ARGUMENT with the field for a filter, an order or a page token that makes
// no sense.
Status list_jobs(const Views& views, const Principal& caller, const v1::ListJobsRequest& request,
                 v1::ListJobsResponse& response);

}  // namespace overwinter::runtime
