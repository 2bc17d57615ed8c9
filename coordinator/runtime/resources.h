// Views as the resources that people get: messages of overwinter.v1, the same over gRPC and as
// JSON.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "coordinator/runtime/views.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/billing.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// "projects/P/jobs/J".
[[nodiscard]] std::string job_resource_name(const JobView& job);
struct JobName {
  std::string project;
  std::string job;
};
// INVALID_ARGUMENT (field name) for another shape.
[[nodiscard]] Result<JobName> parse_job_name(std::string_view name);
// "projects/P" or "projects/-" (empty: every project that the caller sees).
[[nodiscard]] Result<std::string> parse_parent(std::string_view parent);
// Whether the caller may know of a machine: one that serves other projects alone is as if it were
// not for a token of one project.
[[nodiscard]] bool sees_worker(const Principal& caller, const WorkerView& worker);
// "workers/W" or "W". INVALID_ARGUMENT for another shape, NOT_FOUND when the caller sees none.
[[nodiscard]] Result<WorkerViewPtr> find_worker(const Views& views, const Principal& caller,
                                                std::string_view name);

[[nodiscard]] v1::Attempt attempt_resource(const Views& views, const core::EndedAttempt& attempt);
[[nodiscard]] v1::Job job_resource(const Views& views, const JobView& job);
// Of the projects that it serves, those that the caller sees.
[[nodiscard]] v1::Worker worker_resource(const Views& views, const Principal& caller,
                                         const WorkerView& worker, Time now);
[[nodiscard]] v1::Token token_resource(const TokenView& token);
[[nodiscard]] v1::Token join_file_resource(const JoinFileView& file);
[[nodiscard]] v1::PriceBook price_book_resource(const ClusterView& cluster);

}  // namespace overwinter::runtime
