#include "coordinator/notify/watch.h"

#include <algorithm>
#include <utility>

namespace overwinter::notify {
namespace {

constexpr std::int64_t kCapPercent = 80;
constexpr std::uint32_t kWholeShare = 1'000'000;

std::string stamped(std::string_view what, Time at) {
  return std::string(what) + "/" + std::to_string(unix_ms(at));
}

bool passes(const JobSeen& job) {
  if (!job.cap || job.cap->micros <= 0) return false;
  // Exact: 128 bits, as money is everywhere.
  return ledger::Int128{job.held.micros} * 100 >= ledger::Int128{job.cap->micros} * kCapPercent;
}

Notice of_worker(const WorkerSeen& worker, Event event, std::string owner, std::string key,
                 Time at) {
  Notice out;
  out.event = event;
  out.owner = std::move(owner);
  out.key = std::move(key);
  out.worker = worker.id;
  out.name = worker.name;
  out.projects = worker.projects;
  out.state = worker.state;
  out.at = at;
  return out;
}

}  // namespace

std::string job_owner(JobId id) {
  return "job " + std::to_string(id.value());
}
std::string worker_owner(WorkerId id) {
  return "worker " + std::to_string(id.value());
}
std::string idle_owner(WorkerId id) {
  return "idle " + std::to_string(id.value());
}

void Watch::make(JobKept& kept, const JobSeen& job, Event event, std::string key, Time at,
                 std::string sentence, std::vector<Notice>& out) {
  if (!kept.made.insert(key).second) return;
  Notice notice;
  notice.event = event;
  notice.owner = job_owner(job.id);
  notice.key = std::move(key);
  notice.job = job.id;
  notice.name = job.name;
  notice.project = job.project;
  notice.state = job.state;
  notice.sentence = std::move(sentence);
  notice.charged = job.charged;
  notice.cap = job.cap;
  notice.at = at;
  out.push_back(std::move(notice));
}

std::vector<Notice> Watch::see_job(const JobSeen& job, Time now) {
  using Phase = JobSeen::Phase;
  std::vector<Notice> out;
  const bool over = job.phase == Phase::kFailed || job.phase == Phase::kEnded;
  const bool tells = job.phase == Phase::kFailed || job.phase == Phase::kQueued ||
                     (job.phase == Phase::kPaused && !job.by_person) || (!over && passes(job));
  const auto found = jobs_.find(job.id);
  if (found != jobs_.end()) found->second.queued.reset();
  if (!tells) return out;
  JobKept& kept = jobs_[job.id];
  if (!over && passes(job)) {
    make(kept, job, Event::kCap80, "cap-80/" + std::to_string(job.cap->micros), now,
         format_money(job.held) + " of its cap are charged or reserved", out);
  }
  if (job.phase == Phase::kFailed)
    make(kept, job, Event::kFailed, "failed", job.since, job.reason, out);
  // Not by the attempt: a job that is resumed and paused again is paused twice.
  if (job.phase == Phase::kPaused && !job.by_person)
    make(kept, job, Event::kPaused, stamped("paused", job.since), job.since, job.reason, out);
  if (job.phase == Phase::kQueued) kept.queued = job;
  return out;
}

std::vector<Notice> Watch::see_time(Time now) {
  std::vector<Notice> out;
  for (auto& [id, kept] : jobs_) {
    if (!kept.queued || now - kept.queued->since < kWaitingMax) continue;
    const JobSeen job = *std::exchange(kept.queued, std::nullopt);
    make(kept, job, Event::kWaiting, stamped("waiting-1h", job.since), job.since + kWaitingMax,
         job.reason, out);
  }
  return out;
}

std::vector<Notice> Watch::see_workers(std::span<const WorkerSeen> workers, Time now) {
  std::vector<Notice> out;
  std::set<WorkerId> here;
  for (const WorkerSeen& worker : workers) {
    if (worker.phase == WorkerSeen::Phase::kGone) continue;
    here.insert(worker.id);
    WorkerKept& kept = workers_[worker.id];
    if (worker.phase == WorkerSeen::Phase::kLost && kept.lost_told != worker.since) {
      kept.lost_told = worker.since;
      Notice lost = of_worker(worker, Event::kWorkerLost, worker_owner(worker.id),
                              stamped("worker-lost", worker.since), worker.since);
      lost.sentence = worker.reason;
      out.push_back(std::move(lost));
    }
    see_idle(worker, now, kept, out);
  }
  std::erase_if(workers_, [&](const auto& entry) {
    if (here.contains(entry.first)) return false;
    over_.push_back(worker_owner(entry.first));
    over_.push_back(idle_owner(entry.first));
    return true;
  });
  return out;
}

// A lost machine is told of as lost; one without a price costs nothing; one that works is not idle.
void Watch::see_idle(const WorkerSeen& worker, Time now, WorkerKept& kept,
                     std::vector<Notice>& out) {
  const bool idle = worker.phase == WorkerSeen::Phase::kHere && worker.seats == 0 &&
                    worker.price_per_hour > Money{} &&
                    (idle_.workers.empty() || idle_.workers.contains(worker.name));
  if (!idle) {
    // What an earlier run of this program told of is over too.
    if (kept.idle || !kept.known) over_.push_back(idle_owner(worker.id));
    kept.idle = kept.idle_told = false;
    kept.known = true;
    return;
  }
  kept.known = true;
  if (!std::exchange(kept.idle, true)) {
    kept.idle_since = kept.counted = now;
    kept.cost = {};
  }
  kept.cost += ledger::charge_for(worker.price_per_hour, now - kept.counted, kWholeShare);
  kept.counted = now;
  if (kept.idle_told || now - kept.idle_since < idle_.after) return;
  kept.idle_told = true;
  Notice notice = of_worker(worker, Event::kIdle, idle_owner(worker.id), "idle", now);
  notice.charged = ledger::rounded(kept.cost);
  notice.sentence = "it has had no work for " + format_duration(now - kept.idle_since) +
                    " and costs " + format_money(worker.price_per_hour) + " an hour";
  out.push_back(std::move(notice));
}

std::vector<JobId> Watch::jobs() const {
  std::vector<JobId> out;
  out.reserve(jobs_.size());
  for (const auto& [id, kept] : jobs_) out.push_back(id);
  return out;
}

void Watch::forget_job(JobId id) {
  if (jobs_.erase(id) != 0) over_.push_back(job_owner(id));
}

std::vector<std::string> Watch::take_over() {
  return std::exchange(over_, {});
}

}  // namespace overwinter::notify
