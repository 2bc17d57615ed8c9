#include "coordinator/runtime/views.h"

#include <algorithm>
#include <set>

namespace overwinter::runtime {

std::uint64_t Views::first_event(std::string_view project) const {
  return project.empty() ? first_event_ + kAllProjectsOffset : first_event_;
}

void Views::remember(const JobViewPtr& job) {
  for (const std::string& of : {job->project, std::string()}) {
    auto [it, added] = histories_.try_emplace(of);
    History& history = it->second;
    if (added) history.next = first_event(of);
    history.kept.push_back({history.next++, job});
    if (history.kept.size() > kEventsKeptMax) history.kept.pop_front();
  }
}

void Views::apply(const ViewChange& change) {
  tell(put(change));
}

Views::Projects Views::put(const ViewChange& change) {
  Projects projects;
  MutexLock lock(mutex_);
  for (const auto& job : change.jobs) {
    jobs_[job->id] = job;
    names_[job->project][job->name] = job->id;
    remember(job);
    projects.insert(job->project);
  }
  forget(change.jobs_gone);
  for (const auto& worker : change.workers) workers_[worker->id] = worker;
  for (const auto& token : change.tokens) {
    tokens_[token.id] = token;
    token_hashes_[token.hash] = token.id;
  }
  for (const auto& file : change.join_files) join_files_[file.id] = file;
  if (change.cluster) cluster_ = change.cluster;
  return projects;
}

// In one pass: many leave together, an hour after a sweep has ended.
void Views::forget(const std::vector<JobId>& jobs) {
  const std::set<JobId> gone(jobs.begin(), jobs.end());
  if (gone.empty()) return;
  auto kept = jobs_.extract_sequence();
  auto next = gone.begin();
  std::erase_if(kept, [&](const auto& job) {
    while (next != gone.end() && *next < job.first) ++next;
    if (next == gone.end() || *next != job.first) return false;
    names_[job.second->project].erase(job.second->name);
    return true;
  });
  jobs_.adopt_sequence(boost::container::ordered_unique_range, std::move(kept));
}

void Views::tell(const Projects& projects) {
  if (projects.empty()) return;
  MutexLock lock(listeners_mutex_);
  for (const auto& [id, listener] : listeners_) {
    if (listener.project.empty() || projects.contains(listener.project)) listener.told();
  }
}

JobViewPtr Views::job(JobId id) const {
  MutexLock lock(mutex_);
  const auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : it->second;
}

JobViewPtr Views::job(std::string_view project, std::string_view name) const {
  MutexLock lock(mutex_);
  const auto names = names_.find(project);
  if (names == names_.end()) return nullptr;
  const auto it = names->second.find(name);
  if (it == names->second.end()) return nullptr;
  return jobs_.at(it->second);
}

std::vector<JobViewPtr> Views::jobs(std::string_view project) const {
  MutexLock lock(mutex_);
  std::vector<JobViewPtr> out;
  for (auto it = jobs_.rbegin(); it != jobs_.rend(); ++it) {
    if (project.empty() || it->second->project == project) out.push_back(it->second);
  }
  return out;
}

WorkerViewPtr Views::worker(WorkerId id) const {
  MutexLock lock(mutex_);
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second;
}

std::vector<WorkerViewPtr> Views::workers() const {
  MutexLock lock(mutex_);
  std::vector<WorkerViewPtr> out;
  out.reserve(workers_.size());
  for (const auto& [id, worker] : workers_) out.push_back(worker);
  return out;
}

std::optional<TokenView> Views::token(const Digest& hash) const {
  MutexLock lock(mutex_);
  const auto it = token_hashes_.find(hash);
  if (it == token_hashes_.end()) return std::nullopt;
  return tokens_.at(it->second);
}

std::optional<TokenView> Views::token(TokenId id) const {
  MutexLock lock(mutex_);
  const auto it = tokens_.find(id);
  if (it == tokens_.end()) return std::nullopt;
  return it->second;
}

std::vector<TokenView> Views::tokens() const {
  MutexLock lock(mutex_);
  std::vector<TokenView> out;
  out.reserve(tokens_.size());
  for (const auto& [id, token] : tokens_) out.push_back(token);
  return out;
}

std::optional<JoinFileView> Views::join_file(JoinFileId id) const {
  MutexLock lock(mutex_);
  const auto it = join_files_.find(id);
  if (it == join_files_.end()) return std::nullopt;
  return it->second;
}

std::vector<JoinFileView> Views::join_files() const {
  MutexLock lock(mutex_);
  std::vector<JoinFileView> out;
  out.reserve(join_files_.size());
  for (const auto& [id, file] : join_files_) out.push_back(file);
  return out;
}

std::shared_ptr<const ClusterView> Views::cluster() const {
  MutexLock lock(mutex_);
  return cluster_;
}

Result<std::vector<JobEvent>> Views::events(const std::string& project, std::uint64_t from,
                                            std::size_t max) const {
  MutexLock lock(mutex_);
  const auto it = histories_.find(project);
  const std::uint64_t next = it == histories_.end() ? first_event(project) : it->second.next;
  const std::uint64_t oldest =
      it == histories_.end() || it->second.kept.empty() ? next : it->second.kept.front().number;
  std::vector<JobEvent> out;
  if (from == 0 || from >= next) {
    if (from > next) {
      return fail(Code::kOutOfRange, "that event number has not been given out", "from_event",
                  "list again and watch from there");
    }
    return out;
  }
  if (from < oldest) {
    return fail(Code::kOutOfRange, "events that far back are no longer kept", "from_event",
                "list again and watch from there");
  }
  const auto& kept = it->second.kept;
  for (std::size_t i = from - oldest; i < kept.size() && out.size() < max; ++i) {
    out.push_back(kept[i]);
  }
  return out;
}

std::uint64_t Views::next_event(const std::string& project) const {
  MutexLock lock(mutex_);
  const auto it = histories_.find(project);
  return it == histories_.end() ? first_event(project) : it->second.next;
}

Views::ListenerId Views::listen(std::string project, std::function<void()> told) {
  MutexLock lock(listeners_mutex_);
  const ListenerId id = next_listener_++;
  listeners_.emplace(id, Listener{std::move(project), std::move(told)});
  return id;
}

void Views::unlisten(ListenerId id) {
  MutexLock lock(listeners_mutex_);
  listeners_.erase(id);
}

void Views::note_metric(const std::string& project, JobId id, std::string_view metric,
                        double value) {
  const JobMetrics kept = kept_metrics(project, id);
  const MutexLock lock(mutex_);
  JobMetrics& of = metrics_.try_emplace(id, kept).first->second;
  if (metric == "loss") of.loss = value;
  if (metric == "validation_loss") of.validation_loss = value;
  if (metric == "tokens_per_second") of.tokens_per_second = value;
  if (metric == "samples_per_second") of.samples_per_second = value;
  if (metrics_.size() > kEventsKeptMax) metrics_.erase(metrics_.begin());
}

void Views::set_metrics_source(MetricsSource source) {
  metrics_source_ = std::move(source);
}

JobMetrics Views::metrics(const JobView& job) const {
  if (job.demand.transport != Transport::kGang || job.attempt == 0) return {};
  const JobMetrics kept = kept_metrics(job.project, job.id);
  const MutexLock lock(mutex_);
  const JobMetrics out = metrics_.try_emplace(job.id, kept).first->second;
  if (metrics_.size() > kEventsKeptMax) metrics_.erase(metrics_.begin());
  return out;
}

// Of a job that nothing was noted of since the start; else nothing.
JobMetrics Views::kept_metrics(const std::string& project, JobId id) const {
  {
    const MutexLock lock(mutex_);
    if (metrics_.contains(id)) return {};
  }
  return metrics_source_ ? metrics_source_(project, id) : JobMetrics{};
}

}  // namespace overwinter::runtime
