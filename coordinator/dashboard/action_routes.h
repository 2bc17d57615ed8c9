// What the page asks of a job: POST …/J:pause, :resume, :cancel and :update, as the calls of
// JobService and under the same rules, and that a checkpoint is read again. With {"validateOnly":
// true} nothing is done; the answer says what would come of it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/domain/principal.h"
#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

// A POST that was let in. What it refers to lives as long as the call.
struct Act {
  const Sources& sources;
  std::span<const std::string_view> parts;  // of its path: {"api", "v1", "projects", P, "jobs", J}
  const std::string& body;
  const Principal& caller;
};
// {"job": …, "effects": [sentence, …]}; called once, on any thread.
using Done = std::function<void(Response)>;

// None of them blocks.
void pause_job(const Act& act, const Done& done);
void resume_job(const Act& act, const Done& done);
void cancel_job(const Act& act, const Done& done);
void update_job(const Act& act, const Done& done);
// POST …/J/checkpoints/STEP:verify: reads all its files again, on the pool. The answer is a
// VerifyCheckpointResponse.
void verify_checkpoint(const Act& act, const Done& done);

}  // namespace overwinter::dashboard
