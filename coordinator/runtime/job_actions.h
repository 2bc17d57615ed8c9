// What people ask of a job, over gRPC or on the page: who may, what a change names, and what would
// come of it. Whether the job's state allows it is the core's to say.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/principal.h"
#include "coordinator/core/event.h"
#include "coordinator/runtime/views.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// Submitters act on what they submitted; operators and admins on every job that they see.
// PERMISSION_DENIED.
[[nodiscard]] Status check_acts_on(const Principal& caller, const JobView& job);
// FAILED_PRECONDITION for a job that has left the core.
[[nodiscard]] Status has_ended(const JobView& job);

// Fills in what changes: the fields that the request's mask names, without one those that are set.
// INVALID_ARGUMENT with the field.
[[nodiscard]] Status read_update(const Views& views, const v1::UpdateJobRequest& request,
                                 core::JobUpdateRequested& event);

// What an action or a change would do now, sentence by sentence, for whoever is about to ask for
// it. `checkpoints`: the steps of those that are kept, in any order.
[[nodiscard]] std::vector<std::string> foresee(const Views& views, const JobView& job,
                                               core::JobAction action,
                                               std::span<const std::uint64_t> checkpoints);
[[nodiscard]] std::vector<std::string> foresee(const Views& views, const JobView& job,
                                               const core::JobUpdateRequested& change);

}  // namespace overwinter::runtime
