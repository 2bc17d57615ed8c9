// ArtifactService: what exec jobs leave, from workers to the store and from there to people.
#include <optional>
#include <utility>

#include "common/base/log.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/artifact_service.h"
#include "coordinator/rpc/pooled_upload.h"
#include "coordinator/rpc/seat_access.h"
#include "coordinator/runtime/disk_failed.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::rpc {
namespace {

using artifacts::JobArchiveKind;

std::optional<JobArchiveKind> kind_of(v1::PutOutputsRequest::Kind kind) {
  if (kind == v1::PutOutputsRequest::OUTPUTS) return JobArchiveKind::kOutputs;
  if (kind == v1::PutOutputsRequest::WORKDIR) return JobArchiveKind::kWorkdir;
  return std::nullopt;
}

std::optional<v1::ExecSpec> exec_spec(const runtime::JobView& job) {
  v1::JobSpec spec;
  if (!job.spec || !spec.ParseFromString(*job.spec) || !spec.has_exec()) return std::nullopt;
  return std::move(*spec.mutable_exec());
}

class OutputsUpload final
    : public PooledUpload<v1::PutOutputsRequest, artifacts::JobArchiveUpload> {
 public:
  OutputsUpload(ServiceContext& context, artifacts::JobArchives& archives,
                const CapabilityVerifier& verifier, const Principal& caller)
      : PooledUpload(context, runtime::Work::kTile),
        archives_(archives),
        verifier_(verifier),
        worker_(caller.id) {}

 private:
  Result<std::unique_ptr<artifacts::JobArchiveUpload>> open(
      const v1::PutOutputsRequest& first) override {
    const auto& asked = first.begin();
    const auto seat = wire::from_proto(asked.seat());
    if (!seat) return fail(seat.error());
    const auto capability =
        seat_capability(verifier_, asked.capability(), worker_, *seat, context_.now());
    if (!capability) return fail(capability.error());
    if (!capability->write_tiles)
      return fail(Code::kPermissionDenied, "this capability only reads", "capability");
    const auto job = job_of_held_seat(context_.views, worker_, *seat);
    if (!job) return fail(Code::kAborted, "the seat has ended", "seat");
    const auto kind = kind_of(asked.kind());
    if (!kind) return fail(Code::kInvalidArgument, "the kind is OUTPUTS or WORKDIR", "kind");
    if (!leaves_archives(*job))
      return fail(Code::kFailedPrecondition, "only an exec job leaves outputs", "seat");
    const auto digest = parse_digest(asked.digest());
    if (!digest) return fail(digest.error());
    if (Status status = archives_.sweep(context_.now()); !status.ok())
      return fail(std::move(status));
    told_ = job->name;
    auto upload = archives_.begin({seat->job, *kind, seat->attempt, *digest}, asked.size_bytes(),
                                  context_.now());
    // It has arrived: what is done is done.
    if (!upload && upload.error().code == Code::kAlreadyExists) return nullptr;
    return upload;
  }
  void ends(const Status& status) override {
    runtime::end_if_disk_failed(status);
    if (!status.ok() && !told_.empty())
      log_warning("what job {} left was not stored: {}", told_, status.message);
  }

  artifacts::JobArchives& archives_;
  const CapabilityVerifier& verifier_;
  const WorkerId worker_;
  std::string told_;  // the job's name, once it is known
};

std::string full_name(const runtime::JobView& job) {
  return runtime::job_resource_name(job);
}

tl::unexpected<Status> no_outputs(const runtime::JobView& job, const v1::ExecSpec& exec) {
  const auto say = [](std::string message, std::string hint) {
    return fail(Code::kNotFound, std::move(message), {}, std::move(hint));
  };
  if (exec.outputs().empty())
    return say("job " + job.name + " has no outputs: exec.outputs of its file names none",
               "name what to keep: outputs: [out]");
  if (!core::is_terminal(job.state))
    return say("job " + job.name + " has not ended; what it leaves in its outputs is stored then",
               "overwinter jobs watch " + full_name(job));
  if (job.state == core::JobState::kSucceeded)
    return say("job " + job.name + " left nothing in its outputs",
               "overwinter logs " + full_name(job) + " shows what it printed");
  return say(
      "job " + job.name + " has no outputs: it did not succeed",
      "its folder stays 24 h: overwinter jobs download " + full_name(job) + " --workdir -o DIR");
}

tl::unexpected<Status> no_workdir(const runtime::JobView& job, Time now) {
  const auto say = [](std::string message, std::string hint = {}) {
    return fail(Code::kNotFound, std::move(message), {}, std::move(hint));
  };
  if (!core::is_terminal(job.state))
    return say("job " + job.name + " has not ended; its folder is kept if it fails",
               "overwinter jobs watch " + full_name(job));
  if (job.state == core::JobState::kSucceeded)
    return say("the folder of job " + job.name + " was not kept: it succeeded",
               "overwinter jobs download " + full_name(job) + " -o DIR gets its outputs");
  if (job.ended && now - *job.ended >= artifacts::kWorkdirKept)
    return say("the folder of job " + job.name + " was kept for 24 h, until " +
               format_time(*job.ended + artifacts::kWorkdirKept));
  return say("the folder of job " + job.name + " was not kept: no worker could hand it in",
             "overwinter jobs explain " + full_name(job));
}

}  // namespace

bool leaves_archives(const runtime::JobView& job) {
  return exec_spec(job).has_value();
}

Result<artifacts::JobArchive> archive_of_job(const artifacts::JobArchives& archives,
                                             const runtime::JobView& job, bool workdir, Time now) {
  const auto exec = exec_spec(job);
  if (!exec)
    return fail(Code::kNotFound, "job " + job.name + " has no folder: only exec jobs do", {},
                "without --workdir its result comes");
  auto archive =
      archives.get(job.id, workdir ? JobArchiveKind::kWorkdir : JobArchiveKind::kOutputs, now);
  if (archive || archive.error().code != Code::kNotFound) return archive;
  if (workdir) return no_workdir(job, now);
  return no_outputs(job, *exec);
}

grpc::ServerReadReactor<v1::PutOutputsRequest>* put_outputs(ServiceContext& context,
                                                            artifacts::JobArchives& archives,
                                                            const CapabilityVerifier& verifier,
                                                            const Result<Principal>& caller) {
  if (!caller) return new RefusedUpload<v1::PutOutputsRequest>(caller.error());
  return new OutputsUpload(context, archives, verifier, *caller);
}

grpc::ServerReadReactor<v1::PutOutputsRequest>* ArtifactService::PutOutputs(
    grpc::CallbackServerContext* call, v1::PutOutputsResponse* /*response*/) {
  return put_outputs(context_, archives_, verifier_,
                     context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability));
}

}  // namespace overwinter::rpc
