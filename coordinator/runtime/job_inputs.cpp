#include "coordinator/runtime/job_inputs.h"

#include <map>
#include <utility>

#include "common/spec/spec.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

std::vector<std::string> input_digests(const v1::JobSpec& spec, const v1::Plan& plan) {
  if (plan.has_matmul()) return {plan.matmul().a_digest(), plan.matmul().b_digest()};
  if (plan.has_exec()) return {spec::artifact_digest(spec.exec().workdir())};
  const auto& data = plan.train().data_digests();
  std::vector<std::string> inputs(data.begin(), data.end());
  inputs.push_back(plan.train().init_digest());
  return inputs;
}

std::vector<NeededBlob> needed_blobs(const core::ClusterState& state) {
  std::map<artifacts::BlobKey, std::string> found;
  for (const auto& [id, job] : state.jobs) {
    if (job.terminal() || !job.plan || !job.spec) continue;
    v1::Plan plan;
    v1::JobSpec spec;
    if (!plan.ParseFromString(*job.plan) || !spec.ParseFromString(*job.spec)) continue;
    for (const std::string& text : input_digests(spec, plan)) {
      const auto digest = parse_digest(text);
      if (!digest) continue;
      found.try_emplace({job.project, *digest}, "projects/" + job.project + "/jobs/" + job.name);
    }
  }
  std::vector<NeededBlob> out;
  out.reserve(found.size());
  for (auto& [key, job] : found) out.push_back({key, std::move(job)});
  return out;
}

}  // namespace overwinter::runtime
