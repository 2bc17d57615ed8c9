#include "coordinator/rpc/submission.h"

#include <memory>
#include <utility>

#include "common/spec/spec.h"
#include "common/wire/unknown_fields.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kRequestIdBytesMax = 128;

// On the pool.
void plan_and_post(const ServiceContext& context, const Principal& caller, const v1::JobSpec& spec,
                   std::string request_id, std::function<void(Result<runtime::JobViewPtr>)> done) {
  if (Status status = check_named(context, spec); !status.ok())
    return done(fail(std::move(status)));
  auto outcome = context.planner.plan(caller, spec, {});
  if (!outcome) return done(fail(outcome.error()));
  if (outcome->alternatives.empty()) {
    return done(fail(Code::kFailedPrecondition, outcome->reason, {},
                     "overwinter plan FILE shows what was ruled out"));
  }
  core::JobSubmitted event;
  event.by = caller;
  event.request_id = std::move(request_id);
  event.project = spec.project();
  event.display_name = spec.name();
  event.slug = spec::slug(spec.name());
  event.labels = {spec.labels().begin(), spec.labels().end()};
  event.spec = std::make_shared<const std::string>(spec.SerializeAsString());
  event.alternatives = runtime::to_core(std::move(outcome->alternatives));
  context.requests.ask(
      std::move(event), [&context, done = std::move(done)](const core::Reply& reply) {
        if (!reply.status.ok()) return done(fail(reply.status));
        auto view = context.views.job(reply.job);
        if (!view) return done(fail(Code::kNotFound, "that job has ended long ago", "request_id"));
        done(std::move(view));
      });
}

}  // namespace

Status complete(const ServiceContext& context, const Principal& caller, v1::JobSpec& spec) {
  if (Status status = wire::refuse_unknown_fields(spec); !status.ok()) return status;
  const spec::SpecOptions options{.allow_test_workloads = context.allow_test_workloads};
  const std::string project = project_of(caller, "");
  if (Status status = spec::to_status(spec::complete_and_validate(spec, project, options));
      !status.ok()) {
    return status;
  }
  return check_project(context, caller, spec.project());
}

Status check_named(const ServiceContext& context, const v1::JobSpec& spec) {
  for (const std::string& name : spec.exec().secrets()) {
    auto secret = context.secrets.read(spec.project(), name);
    if (secret) continue;
    Status why = std::move(secret.error());
    why.field = "workload.exec.secrets";
    return why;
  }
  return Status::success();
}

void submit(const ServiceContext& context, const Principal& caller,
            const v1::SubmitJobRequest& request,
            const std::function<void(Result<runtime::JobViewPtr>)>& done) {
  if (request.request_id().size() > kRequestIdBytesMax) {
    return done(fail(Code::kInvalidArgument, "a request id has at most 128 bytes", "request_id"));
  }
  if (Status status = context.disk_room(); !status.ok()) return done(fail(std::move(status)));
  v1::JobSpec spec = request.spec();
  if (Status status = complete(context, caller, spec); !status.ok()) {
    return done(fail(std::move(status)));
  }
  const Status taken = context.pool.run(
      runtime::Work::kPlan, [&context, caller, spec = std::move(spec), id = request.request_id(),
                             done] { plan_and_post(context, caller, spec, id, done); });
  if (!taken.ok()) done(fail(taken));
}

}  // namespace overwinter::rpc
