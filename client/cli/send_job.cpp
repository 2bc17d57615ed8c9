#include "client/cli/send_job.h"

#include <fmt/format.h>

#include <utility>

#include "client/cli/job_inputs.h"
#include "common/base/bytes.h"
#include "common/security/random.h"

namespace overwinter::cli {
namespace {

// What the job will need, on one line.
std::string predicted(const v1::Plan& plan) {
  const std::string training = training_text(plan.train());  // of other jobs empty
  return fmt::format("planned: {} on each of up to {} device{}, {}, {}{}{}", memory_text(plan),
                     plan.workers_max(), plan.workers_max() == 1 ? "" : "s",
                     duration_text(plan.duration()), money_text(plan.cost()),
                     training.empty() ? "" : ", ", training);
}

}  // namespace

Result<v1::PlanJobResponse> plan_job(client::Client& client, const v1::JobSpec& spec) {
  auto shapes = read_shapes(spec);
  if (!shapes) return fail(shapes.error());
  auto data = read_data_facts(spec);
  if (!data) return fail(data.error());
  v1::PlanJobRequest request;
  *request.mutable_spec() = spec;
  if (*data) *request.mutable_data() = std::move(**data);
  // Nothing of a plan depends on what lies in the folder.
  if (is_local(spec.exec().workdir())) request.mutable_spec()->mutable_exec()->clear_workdir();
  for (const auto& [name, shape] : *shapes) (*request.mutable_shapes())[name] = shape;
  return client.plan(request);
}

// Plans, uploads the inputs, then submits: what cannot run is refused before anything is sent.
Result<v1::Job> send_job(const Globals& globals, client::Client& client, v1::JobSpec spec,
                         const std::string& request_id) {
  auto planned = plan_job(client, spec);
  if (!planned) return fail(planned.error());
  if (!planned->has_plan()) {
    return fail(Code::kFailedPrecondition, planned->reason(), "",
                "overwinter plan FILE shows what was ruled out");
  }
  say(globals.output, predicted(planned->plan()));
  if (const Status s = upload_inputs(globals, client, spec); !s.ok()) return fail(s);
  v1::SubmitJobRequest request;
  *request.mutable_spec() = std::move(spec);
  // An id of its own makes the call safe to repeat when the answer is lost.
  request.set_request_id(request_id.empty() ? random_id(20) : request_id);
  auto job = client.submit(request);
  if (job) {
    for (const std::string& warning : job->plan().warnings()) {
      say(globals.output, "warning: " + printable(warning));
    }
  }
  return job;
}

}  // namespace overwinter::cli
