#include "coordinator/runtime/job_queries.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "coordinator/runtime/job_filter.h"
#include "coordinator/runtime/pages.h"
#include "coordinator/runtime/resources.h"
#include "coordinator/runtime/snapshot.h"

namespace overwinter::runtime {
namespace {

constexpr int kPageSize = 50;

// What a page token belongs to: a token of another list, or of somebody who sees other projects, is
// refused.
std::string list_mark(const Principal& caller, const v1::ListJobsRequest& request) {
  return request.parent() + '\n' + request.filter() + '\n' + request.order_by() + '\n' +
         caller.project;
}

std::int64_t order_number(const JobView& job, store::JobOrder order) {
  switch (order) {
    case store::JobOrder::kCreated:
      return unix_ms(job.created);
    case store::JobOrder::kEnded:
      return job.ended ? unix_ms(*job.ended) : 0;
    case store::JobOrder::kState:
      return static_cast<int>(job.state);
    case store::JobOrder::kCost:
      return ledger::rounded(job.charged).micros;
    case store::JobOrder::kName:
      break;
  }
  return 0;
}

store::JobPosition place_of(const JobView& job, store::JobOrder order) {
  return {order_number(job, order), order == store::JobOrder::kName ? job.name : std::string(),
          job.id};
}

// Tokens name the last job shown, never its number: gaps in numbers would tell of other projects.
// Behind it is what it was ordered by, since costs and states go on between two pages.
std::string key_of(const JobView& job, store::JobOrder order) {
  return job.project + '/' + job.name + '/' + std::to_string(order_number(job, order));
}

// The place of the job with that key; it may have left the core since.
Result<store::JobPosition> position_of(const Views& views, store::History& history,
                                       const Principal& caller, std::string_view key,
                                       store::JobOrder order) {
  const auto slash = key.find('/');
  const auto second = key.find('/', slash == std::string_view::npos ? slash : slash + 1);
  if (second != std::string_view::npos && sees_project(caller, key.substr(0, slash))) {
    const auto project = key.substr(0, slash);
    const auto job = key.substr(slash + 1, second - slash - 1);
    const auto number = key.substr(second + 1);
    store::JobPosition out;
    const auto read = std::from_chars(number.data(), number.data() + number.size(), out.number);
    const bool whole = read.ec == std::errc() && read.ptr == number.data() + number.size();
    if (order == store::JobOrder::kName) out.text = job;
    if (const auto view = views.job(project, job); view && whole) {
      out.job = view->id;
      return out;
    }
    const auto past = history.job(project, job);
    if (!past) return fail(past.error());
    if (past->has_value() && whole) {
      out.job = (*past)->job.id;
      return out;
    }
  }
  return fail(Code::kInvalidArgument, "that page token does not belong to this list", "page_token",
              "list again without it");
}

// Jobs in the order of a list, from behind `after` on: the core's (a snapshot, newest first; not
// copied) and the past's (read page by page), merged. The snapshot is taken first, so a job that
// leaves meanwhile is in both. Of many living ones a page takes few: they stand in a heap.
class MergedJobs {
  // What is the first of the list is the heap's greatest.
  [[nodiscard]] auto later() const {
    return [this](const auto& a, const auto& b) { return comes_before(b.first, a.first); };
  }

 public:
  MergedJobs(const std::vector<JobViewPtr>& living, store::History& history, store::JobQuery past)
      : living_(living), history_(history), past_(std::move(past)) {
    heap_.reserve(living.size());
    for (const JobViewPtr& job : living) {
      Place place = place_of(*job, past_.order);
      if (!past_.after || comes_before(*past_.after, place))
        heap_.emplace_back(std::move(place), &job);
    }
    std::ranges::make_heap(heap_, later());
  }

  // Null: there is no more.
  Result<JobViewPtr> next() {
    if (Status status = read_past(); !status.ok()) return fail(std::move(status));
    const JobViewPtr past = next_past_ < page_.size() ? page_[next_past_] : nullptr;
    if (!heap_.empty() &&
        (!past || comes_before(heap_.front().first, place_of(*past, past_.order)))) {
      std::ranges::pop_heap(heap_, later());
      const JobViewPtr next = *heap_.back().second;
      heap_.pop_back();
      return next;
    }
    if (past) ++next_past_;
    return past;
  }

 private:
  using Place = store::JobPosition;
  [[nodiscard]] bool comes_before(const Place& a, const Place& b) const {
    return past_.descending ? a > b : a < b;
  }
  // One that left meanwhile was counted among the living, perhaps at another place.
  Status read_past() {
    while (next_past_ >= page_.size() && !past_ended_) {
      const auto rows = history_.jobs(past_);
      if (!rows) return rows.error();
      past_ended_ = rows->size() < past_.max;
      page_.clear();
      next_past_ = 0;
      for (const auto& row : *rows) {
        const auto view = view_of_past(row.job);
        past_.after = place_of(*view, past_.order);
        if (!is_living(view->id)) page_.push_back(view);
      }
    }
    return Status::success();
  }

  [[nodiscard]] bool is_living(JobId id) const {
    return std::ranges::binary_search(living_, id, std::ranges::greater(),
                                      [](const JobViewPtr& job) { return job->id; });
  }

  const std::vector<JobViewPtr>& living_;
  store::History& history_;
  store::JobQuery past_;
  std::vector<std::pair<Place, const JobViewPtr*>> heap_;
  std::vector<JobViewPtr> page_;
  std::size_t next_past_ = 0;
  bool past_ended_ = false;
};

}  // namespace

Status check_project(const Views& views, const Principal& caller, std::string_view project) {
  const auto cluster = views.cluster();
  const bool exists = std::find(cluster->projects.begin(), cluster->projects.end(), project) !=
                      cluster->projects.end();
  if (exists && sees_project(caller, project)) return Status::success();
  return error(Code::kNotFound, "there is no project " + std::string(project), "project",
               "overwinter projects list shows the projects that you see");
}

Result<std::string> visible_parent(const Views& views, const Principal& caller,
                                   std::string_view parent) {
  auto project = parse_parent(parent);
  if (!project) return project;
  if (project->empty()) return caller.project;
  if (Status status = check_project(views, caller, *project); !status.ok()) {
    return fail(std::move(status));
  }
  return project;
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

Result<JobViewPtr> find_any_job(const Views& views, store::History& history,
                                const Principal& caller, std::string_view name) {
  auto job = find_job(views, caller, name);
  if (job || job.error().code != Code::kNotFound) return job;
  return find_past_job(history, caller, name);
}

Result<JobViewPtr> find_job(const Views& views, const Principal& caller, std::string_view name) {
  const auto parsed = parse_job_name(name);
  if (!parsed) return fail(parsed.error());
  if (sees_project(caller, parsed->project)) {
    if (auto job = views.job(parsed->project, parsed->job)) return job;
  }
  return fail(no_such_job(name));
}

namespace {

Status fill_page(MergedJobs& jobs, const JobFilter& filter, store::JobOrder order, int size,
                 const std::string& mark, const AddJob& add, v1::ListJobsResponse& response) {
  std::size_t bytes = 0;
  int rows = 0;
  std::size_t left_out = 0;
  JobViewPtr shown;
  for (;;) {
    const auto job = jobs.next();
    if (!job) return job.error();
    if (*job == nullptr) return Status::success();
    if (!filter.matches(**job)) {
      if (++left_out < kPastScannedMax) continue;
      response.set_next_page_token(page_token(mark, key_of(**job, order)));
      return Status::success();
    }
    if (rows == size || bytes > kPageBytesMax) {
      response.set_next_page_token(page_token(mark, key_of(*shown, order)));
      return Status::success();
    }
    bytes += add(*job);
    ++rows;
    shown = *job;
  }
}

}  // namespace

namespace {

Status count_matches(const std::vector<JobViewPtr>& living, store::History& history,
                     const JobFilter& filter, const store::JobQuery& past,
                     v1::ListJobsResponse& response) {
  if (filter.empty()) {
    const auto gone = history.count_jobs(past);
    if (!gone) return gone.error();
    response.set_total_size(static_cast<std::int64_t>(living.size() + *gone));
    return Status::success();
  }
  std::uint64_t here = 0;
  for (auto job = living.begin(); job != living.end() && here <= kCountedMax; ++job) {
    if (filter.matches(**job)) ++here;
  }
  auto count = store::JobCount::up_to(kCountedMax, here);
  if (!count.at_least) {
    const store::JobTest test = [&](const core::Job& job) {
      return filter.matches(*view_of_past(job));
    };
    const auto gone = history.count_jobs_to(past, kCountedMax - here,
                                            filter.of_state_and_time() ? store::JobTest() : test);
    if (!gone) return gone.error();
    count = {here + gone->jobs, gone->at_least};
  }
  response.set_total_size(static_cast<std::int64_t>(count.jobs));
  response.set_total_size_capped(count.at_least);
  return Status::success();
}

}  // namespace

Status list_jobs(const Views& views, store::Store& store, const Principal& caller,
                 const v1::ListJobsRequest& request, v1::ListJobsResponse& response) {
  const AddJob add = [&](const JobViewPtr& job) {
    v1::Job& out = *response.add_jobs();
    out = job_resource(views, *job);
    return out.ByteSizeLong();
  };
  return list_jobs(views, store, caller, request, add, response);
}

Status list_jobs(const Views& views, store::Store& store, const Principal& caller,
                 const v1::ListJobsRequest& request, const AddJob& add,
                 v1::ListJobsResponse& response) {
  const auto project = visible_parent(views, caller, request.parent());
  if (!project) return project.error();
  const auto filter = JobFilter::parse(request.filter());
  if (!filter) return filter.error();
  const auto sort = parse_order(request.order_by());
  if (!sort) return sort.error();
  const std::string mark = list_mark(caller, request);
  const auto page = read_page(request.page_size(), request.page_token(), mark, kPageSize);
  if (!page) return page.error();
  store::JobQuery past;
  past.project = *project;
  past.order = sort->order;
  past.descending = sort->descending;
  past.forgotten_only = true;
  past.state = filter->only_state();
  past.created_from = filter->created_from();
  past.created_before = filter->created_before();
  past.max = std::min(static_cast<std::size_t>(page->size) + 1, store::kPageMax);
  if (!page->after.empty()) {
    auto after = position_of(views, store.history(), caller, page->after, sort->order);
    if (!after) return after.error();
    past.after = *after;
  }
  // Before the jobs themselves: who watches from here on misses nothing.
  response.set_event(views.next_event(*project));
  const auto living = views.jobs(*project);
  // What is no longer there has left before: the past must know of it.
  if (Status status = store.catch_up(); !status.ok()) return status;
  Status counted = count_matches(living, store.history(), *filter, past, response);
  if (!counted.ok()) return counted;
  MergedJobs jobs(living, store.history(), std::move(past));
  return fill_page(jobs, *filter, sort->order, page->size, mark, add, response);
}

}  // namespace overwinter::runtime
