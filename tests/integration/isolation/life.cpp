#include "tests/integration/isolation/life.h"

#include <algorithm>
#include <array>
#include <regex>
#include <span>

#include "common/formats/digest.h"
#include "common/formats/npy.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/artifact.pb.h"
#include "overwinter/v1/billing.pb.h"

namespace overwinter::test {
namespace {

template <class T>
T parsed(const Answer& answer) {
  T out;
  if (!answer.messages.empty()) out.ParseFromString(answer.messages.front());
  return out;
}

}  // namespace

std::string Life::step() {
  using Step = std::string (Life::*)();
  static constexpr std::array kSteps{
      &Life::submit,   &Life::submit,   &Life::submit,    &Life::plan,
      &Life::read_job, &Life::read_job, &Life::list_jobs, &Life::watch,
      &Life::act,      &Life::act,      &Life::update,    &Life::money,
      &Life::people,   &Life::machines, &Life::contents,  &Life::page};
  const Step next = kSteps.at(draw(kSteps.size()));
  return (this->*next)();
}

std::string Life::comparable(std::string text) const {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const std::string name = jobs_[i].substr(jobs_[i].rfind('/') + 1);
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name)) {
      text.replace(at, name.size(), "JOB" + std::to_string(i));
    }
  }
  static const std::regex made(R"((login|join_file|next_page_token): ".*")");
  text = std::regex_replace(text, made, "$1: MADE");
  static const std::regex json(R"x(("nextPageToken": ?)"[^"]+")x");
  text = std::regex_replace(text, json, "$1MADE");
  static const std::regex token(R"(tokens/\d+)");
  text = std::regex_replace(text, token, "tokens/N");
  if (text.find("Token") == std::string::npos && text.find("JoinFile") == std::string::npos) {
    return text;
  }
  static const std::regex id(R"(\bid: \d+)");
  return std::regex_replace(text, id, "id: N");
}

std::string Life::some_job() {
  if (!envied_.empty() && draw(4) == 0) return envied_[draw(envied_.size())];
  if (jobs_.empty() || draw(10) == 0) return "projects/" + project_ + "/jobs/none-00000";
  return jobs_[draw(jobs_.size())];
}

std::string Life::some_digest() {
  if (digests_.empty() || draw(10) == 0) return std::string(64, '0');
  return digests_[draw(digests_.size())];
}

std::string Life::call(const std::string& method, const google::protobuf::Message& request,
                       std::size_t most) {
  const Role by = role();
  const Answer answer = tenants_.call(project_, by, method, request, most);
  learn_jobs(answer, method);
  return std::string(role_name(by)) + " " + text_of(method, answer);
}

void Life::learn_jobs(const Answer& answer, const std::string& method) {
  const auto learn = [this](const v1::Job& job) {
    if (!job.name().empty() && std::find(jobs_.begin(), jobs_.end(), job.name()) == jobs_.end()) {
      jobs_.push_back(job.name());
    }
  };
  if (method == "JobService/SubmitJob") learn(parsed<v1::Job>(answer));
  if (method == "JobService/BatchSubmitJobs") {
    const auto batch = parsed<v1::BatchSubmitJobsResponse>(answer);
    for (const auto& one : batch.outcomes()) learn(one.job());
  }
}

v1::JobSpec Life::some_spec() {
  v1::JobSpec spec;
  if (draw(2) == 0) spec.set_project(project_);
  spec.set_name(project_ == kSecret ? "zebra's work" : "work");
  (*spec.mutable_labels())["team"] = project_;
  if (draw(3) == 0) {
    spec.mutable_matmul()->set_a("artifact://" + some_digest());
    spec.mutable_matmul()->set_b("artifact://" + some_digest());
  } else {
    spec.mutable_noop()->set_units(1 + draw(3));
    spec.mutable_noop()->set_units_per_range_max(1);
  }
  if (draw(3) == 0) spec.mutable_budget()->mutable_cap()->set_amount_micros(2'000'000);
  static constexpr std::array kPriorities{"low", "normal", "high"};
  spec.set_priority(kPriorities.at(draw(3)));
  return spec;
}

std::string Life::submit() {
  const auto one = [this] {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = some_spec();
    // The other tenant uses the same ids.
    if (draw(2) == 0) request.set_request_id("request " + std::to_string(draw(6)));
    return request;
  };
  if (draw(4) != 0) return call("JobService/SubmitJob", one());
  // One at a time, since the order in which the jobs of a batch are made is not promised.
  v1::BatchSubmitJobsRequest batch;
  *batch.add_requests() = one();
  return call("JobService/BatchSubmitJobs", batch);
}

std::string Life::plan() {
  v1::PlanJobRequest request;
  *request.mutable_spec() = some_spec();
  return call("JobService/PlanJob", request);
}

std::string Life::read_job() {
  v1::GetJobRequest get;
  get.set_name(some_job());
  if (draw(2) == 0) return call("JobService/GetJob", get);
  v1::ExplainJobRequest explain;
  explain.set_name(get.name());
  return call("JobService/ExplainJob", explain);
}

std::string Life::list_jobs() {
  v1::ListJobsRequest request;
  request.set_parent(draw(2) == 0 ? "projects/-" : "projects/" + project_);
  request.set_page_size(static_cast<int>(1 + draw(4)));
  if (draw(3) == 0) request.set_order_by("create_time");
  if (draw(3) == 0) request.set_filter("state=SUCCEEDED");
  const Role by = role();
  std::string out;
  do {
    const Answer answer = tenants_.call(project_, by, "JobService/ListJobs", request);
    out += text_of("JobService/ListJobs", answer);
    request.set_page_token(parsed<v1::ListJobsResponse>(answer).next_page_token());
    if (!request.page_token().empty()) page_token_ = request.page_token();
  } while (!request.page_token().empty());
  return out;
}

std::string Life::watch() {
  v1::ListJobsRequest all;
  all.set_parent("projects/" + project_);
  const auto event = parsed<v1::ListJobsResponse>(
                         tenants_.call(project_, Role::kViewer, "JobService/ListJobs", all))
                         .event();
  v1::WatchJobsRequest request;
  request.set_parent(all.parent());
  // The last few events, from the history; a number before the first one is refused.
  const std::uint64_t back = 1 + draw(5);
  request.set_from_event(event - back);
  const auto answer = tenants_.call(project_, Role::kViewer, "JobService/WatchJobs", request, back);
  return text_of("JobService/WatchJobs", answer);
}

std::string Life::act() {
  static constexpr std::array kActions{"PauseJob", "ResumeJob", "CancelJob"};
  v1::PauseJobRequest request;  // the three have the same shape
  request.set_name(some_job());
  return call("JobService/" + std::string(kActions.at(draw(kActions.size()))), request);
}

std::string Life::update() {
  v1::UpdateJobRequest request;
  request.set_name(some_job());
  request.mutable_cap()->set_amount_micros(static_cast<std::int64_t>(1'000'000 * (1 + draw(5))));
  if (draw(2) == 0) request.set_priority("high");
  return call("JobService/UpdateJob", request);
}

std::string Life::money() {
  switch (draw(4)) {
    case 0: {
      v1::ListJobCostsRequest request;
      if (draw(2) == 0) request.set_job(some_job());
      return call("BillingService/ListJobCosts", request);
    }
    case 1:
      return call("BillingService/ListMachineCosts", v1::ListMachineCostsRequest());
    case 2:
      return call("BillingService/GetPriceBook", v1::GetPriceBookRequest());
    default: {
      v1::SetPriceBookRequest request;
      request.set_yaml(
          "currency: USD\nprices:\n  - { from: 2026-11-01, device: cpu, supplier: any, spot: "
          "false, per_hour: " +
          std::to_string(draw(9)) + " }\n");
      return call("BillingService/SetPriceBook", request);
    }
  }
}

std::string Life::people() {
  switch (draw(5)) {
    case 0: {
      v1::CreateTokenRequest request;
      request.set_role("viewer");
      request.set_name(project_ + " made this");
      const Answer answer =
          tenants_.call(project_, Role::kAdmin, "AdminService/CreateToken", request);
      token_ids_.push_back(parsed<v1::CreateTokenResponse>(answer).token().id());
      return text_of("AdminService/CreateToken", answer);
    }
    case 1: {
      v1::CreateJoinFileRequest request;
      request.set_name(project_ + " made this");
      return call("AdminService/CreateJoinFile", request);
    }
    case 2: {
      v1::RevokeTokenRequest request;
      if (!token_ids_.empty()) request.set_id(token_ids_[draw(token_ids_.size())]);
      return call("AdminService/RevokeToken", request);
    }
    case 3: {
      v1::CreateProjectRequest request;
      request.set_project(project_ + "-two");
      return call("AdminService/CreateProject", request);
    }
    default:
      switch (draw(3)) {
        case 0:
          return call("AdminService/ListTokens", v1::ListTokensRequest());
        case 1:
          return call("AdminService/ListProjects", v1::ListProjectsRequest());
        default:
          return call("AdminService/ListAuditEntries", v1::ListAuditEntriesRequest());
      }
  }
}

std::string Life::machines() {
  v1::GetWorkerRequest request;  // the other actions have the same shape
  request.set_name("workers/box-of-" + (envied_.empty() ? project_ : kReader));
  switch (draw(6)) {
    case 0:
      return call("AdminService/GetClusterStatus", v1::GetClusterStatusRequest());
    case 1:
      return call("AdminService/GetWorker", request);
    case 2:
      return call("AdminService/DrainWorker", request);
    case 3:
      return call("AdminService/ResumeWorker", request);
    default:
      return call("AdminService/ListWorkers", v1::ListWorkersRequest());
  }
}

std::string Life::upload(bool shared) {
  std::string content = formats::write_npy_header(formats::Dtype::kFloat32, 4, 4, false) +
                        std::string(64, static_cast<char>(draw(3)));
  if (!shared) content.back() = project_.front();
  formats::BlobDigester digester;
  digester.update(std::as_bytes(std::span(content)));
  const std::string digest = to_hex(digester.finish());
  v1::UploadArtifactRequest begin;
  begin.mutable_begin()->set_project(project_);
  begin.mutable_begin()->set_digest(digest);
  begin.mutable_begin()->set_size_bytes(content.size());
  v1::UploadArtifactRequest data;
  data.set_data(content);
  const std::string method = "ArtifactService/UploadArtifact";
  // What is there already is answered after the first message: nobody reads a second.
  std::vector<std::string> messages{begin.SerializeAsString()};
  if (std::find(digests_.begin(), digests_.end(), digest) == digests_.end()) {
    messages.push_back(data.SerializeAsString());
    digests_.push_back(digest);
  }
  const Answer answer = tenants_.send(project_, Role::kSubmitter, method, messages, 1'000);
  return text_of(method, answer);
}

std::string Life::contents() {
  switch (draw(4)) {
    case 0: {
      v1::CheckArtifactsRequest request;
      for (const auto& digest : digests_) request.add_digests(digest);
      request.add_digests(std::string(64, '0'));
      return call("ArtifactService/CheckArtifacts", request);
    }
    case 1: {
      v1::DownloadArtifactRequest request;
      if (draw(2) == 0) {
        request.set_job(some_job());
      } else {
        request.mutable_blob()->set_digest(some_digest());
      }
      return call("ArtifactService/DownloadArtifact", request);
    }
    default:
      return upload(draw(2) == 0);
  }
}

std::string Life::page() {
  static constexpr std::array kPaths{"/metrics", "/api/v1/summary", "/api/v1/workers",
                                     "/api/v1/projects/-/jobs?pageSize=3"};
  const auto some_path = [&]() -> std::string {
    switch (draw(6)) {
      case 0:
      case 1:
        return "/api/v1/" + some_job();
      case 2:
        return "/api/v1/batch?get=" + some_job() + "&get=" + some_job() + "/timeline&get=summary";
      default:
        return kPaths.at(draw(kPaths.size()));
    }
  };
  const std::string path = some_path();
  return path + " " + tenants_.get(project_, role(), path);
}

}  // namespace overwinter::test
