#include "coordinator/runtime/job_queries.h"

#include <algorithm>
#include <utility>

#include "common/security/encoding.h"
#include "coordinator/runtime/job_filter.h"
#include "coordinator/runtime/resources.h"
#include "coordinator/runtime/snapshot.h"

namespace overwinter::runtime {
namespace {

constexpr int kPageSize = 50;
constexpr int kPageSizeMax = 1000;

// What a page token belongs to: a token of another list, or of somebody who sees other projects, is
// refused.
std::string list_mark(const Principal& caller, const v1::ListJobsRequest& request) {
  const std::string text = request.parent() + '\n' + request.filter() + '\n' + request.order_by() +
                           '\n' + caller.project;
  return to_hex(sha256(text)).substr(0, 16);
}

// Tokens name the last job shown, never its number: gaps in numbers would tell of other projects.
std::string make_token(const std::string& mark, const JobView& last) {
  return base64url_encode(mark + last.project + '/' + last.name);
}

Result<JobId> read_token(const Views& views, const Principal& caller, const std::string& mark,
                         const std::string& token) {
  if (const auto text = base64url_decode(token); text && text->starts_with(mark)) {
    const std::string_view name = std::string_view(*text).substr(mark.size());
    const auto slash = name.find('/');
    if (slash != std::string_view::npos && sees_project(caller, name.substr(0, slash))) {
      if (const auto job = views.job(name.substr(0, slash), name.substr(slash + 1))) {
        return job->id;
      }
    }
  }
  return fail(Code::kInvalidArgument, "that page token does not belong to this list", "page_token",
              "list again without it");
}

}  // namespace

Status check_project(const Views& views, const Principal& caller, std::string_view project) {
  const auto cluster = views.cluster();
  const bool exists = std::find(cluster->projects.begin(), cluster->projects.end(), project) !=
                      cluster->projects.end();
  if (exists && sees_project(caller, project)) return Status::success();
  return error(Code::kNotFound, "there is no project " + std::string(project), "project",
               "overwinter projects list shows the projects that you see");
}

namespace {

Status no_such_job(std::string_view name) {
  return error(Code::kNotFound, "there is no job " + std::string(name), "name",
               "overwinter jobs list shows the jobs that you see");
}

}  // namespace

Result<JobViewPtr> find_past_job(store::History& history, const Principal& caller,
                                 std::string_view name) {
  const auto parsed = parse_job_name(name);
  if (!parsed) return fail(parsed.error());
  if (!sees_project(caller, parsed->project)) return fail(no_such_job(name));
  const auto past = history.job(parsed->project, parsed->job);
  if (!past) return fail(past.error());
  if (!past->has_value()) return fail(no_such_job(name));
  return view_of_past((*past)->job);
}

Result<JobViewPtr> find_job(const Views& views, const Principal& caller, std::string_view name) {
  const auto parsed = parse_job_name(name);
  if (!parsed) return fail(parsed.error());
  if (sees_project(caller, parsed->project)) {
    if (auto job = views.job(parsed->project, parsed->job)) return job;
  }
  return fail(no_such_job(name));
}

Status list_jobs(const Views& views, const Principal& caller, const v1::ListJobsRequest& request,
                 v1::ListJobsResponse& response) {
  auto project = parse_parent(request.parent());
  if (!project) return project.error();
  if (project->empty()) {
    *project = caller.project;
  } else if (Status status = check_project(views, caller, *project); !status.ok()) {
    return status;
  }
  const auto filter = JobFilter::parse(request.filter());
  if (!filter) return filter.error();
  const auto newest_first = parse_newest_first(request.order_by());
  if (!newest_first) return newest_first.error();
  if (request.page_size() < 0) {
    return error(Code::kInvalidArgument, "page_size is not negative", "page_size");
  }
  const std::string mark = list_mark(caller, request);
  JobId after;
  if (!request.page_token().empty()) {
    const auto id = read_token(views, caller, mark, request.page_token());
    if (!id) return id.error();
    after = *id;
  }
  auto jobs = views.jobs(*project);
  if (!*newest_first) std::reverse(jobs.begin(), jobs.end());
  std::erase_if(jobs, [&](const auto& job) { return !filter->matches(*job); });
  response.set_total_size(static_cast<std::int64_t>(jobs.size()));
  const int size =
      request.page_size() == 0 ? kPageSize : std::min(request.page_size(), kPageSizeMax);
  JobViewPtr last;
  for (const auto& job : jobs) {
    if (after.valid() && (*newest_first ? job->id >= after : job->id <= after)) continue;
    if (response.jobs_size() == size) {
      response.set_next_page_token(make_token(mark, *last));
      break;
    }
    *response.add_jobs() = job_resource(views, *job);
    last = job;
  }
  return Status::success();
}

}  // namespace overwinter::runtime
