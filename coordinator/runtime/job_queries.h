// What a caller may know of jobs and projects, and lists of them. The same for gRPC and for HTTP.
// Another project's name is answered like one that does not exist.
#pragma once

#include <functional>
#include <string_view>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// OK when the project exists and the caller sees it; else NOT_FOUND.
Status check_project(const Views& views, const Principal& caller, std::string_view project);
// The project of "projects/P", or empty: every project, which only a caller that sees all of them
// gets for "projects/-"; for a token of one project that is its own. NOT_FOUND, INVALID_ARGUMENT.
[[nodiscard]] Result<std::string> visible_parent(const Views& views, const Principal& caller,
                                                 std::string_view parent);
// The job of a resource name.
[[nodiscard]] Result<JobViewPtr> find_job(const Views& views, const Principal& caller,
                                          std::string_view name);
// The same of jobs that left the core an hour or more ago. Reads the disk: on the pool.
[[nodiscard]] Result<JobViewPtr> find_past_job(store::History& history, const Principal& caller,
                                               std::string_view name);
// Either.
[[nodiscard]] Result<JobViewPtr> find_any_job(const Views& views, store::History& history,
                                              const Principal& caller, std::string_view name);
// A page of jobs: those that the core holds and those that left it, in one order, each once however
// many leave between two pages. INVALID_ARGUMENT with the field for a filter, an order or a page
// token that makes no sense. A page may be short and still have a next one: it ends after
// kPastScannedMax jobs of the past that the filter leaves out, and at kPageBytesMax. total_size
// with a filter: up to kCountedMax, less where a count ends earlier (store::History). Reads the
// disk: on the pool.
Status list_jobs(const Views& views, store::Store& store, const Principal& caller,
                 const v1::ListJobsRequest& request, v1::ListJobsResponse& response);
// The same without `jobs`: each is handed to `add` in the list's order, which says how many bytes
// it takes.
using AddJob = std::function<std::size_t(const JobViewPtr& job)>;
Status list_jobs(const Views& views, store::Store& store, const Principal& caller,
                 const v1::ListJobsRequest& request, const AddJob& add,
                 v1::ListJobsResponse& response);

inline constexpr std::size_t kPastScannedMax = 2'000;
inline constexpr std::size_t kCountedMax = 10'000;
inline constexpr std::size_t kPageBytesMax = std::size_t{3} * 1024 * 1024;  // of a message's 4 MiB

}  // namespace overwinter::runtime
