#include "coordinator/dashboard/job_texts.h"

#include "coordinator/dashboard/http.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::dashboard {
namespace {

bool is_measured(const runtime::JobView& job) {
  return job.demand.transport == Transport::kGang && !job.ended;
}

// Forgets what is the cheapest to make again: all of it.
template <class Map>
void make_room(Map& map) {
  if (map.size() >= kJobTextsMax) map.clear();
}

}  // namespace

JobTexts::Text JobTexts::of(const runtime::JobViewPtr& job, Time now) {
  const auto cluster = views_.cluster();  // prices: their currency stands in each amount
  {
    const MutexLock lock(mutex_);
    const auto it = made_.find(job->id);
    const bool is_that =
        it != made_.end() && it->second.job == job && it->second.cluster == cluster;
    if (is_that && (!is_measured(*job) || now - it->second.at < kResourceEvery)) {
      return it->second.text;
    }
  }
  std::string text = as_json(runtime::job_resource(views_, *job)).body;
  while (text.ends_with('\n')) text.pop_back();
  const auto made = std::make_shared<const std::string>(std::move(text));
  const MutexLock lock(mutex_);
  make_room(made_);
  made_[job->id] = {job, cluster, now, made};
  return made;
}

JobTexts::Told JobTexts::recent(bool all, std::uint64_t number, std::uint64_t seen,
                                const runtime::JobViewPtr& job, Time now) {
  const std::pair key(all, job->id);
  {
    const MutexLock lock(mutex_);
    const auto it = steps_.find(key);
    if (it != steps_.end()) {
      const Step& step = it->second;
      const bool is_news = step.told.number > seen && step.told.number <= number;
      const bool is_fresh = now - step.at < kResourceEvery && step.job->state == job->state;
      if (is_news && is_fresh) return step.told;
    }
  }
  const Told told{number, of(job, now)};
  const MutexLock lock(mutex_);
  make_room(steps_);
  steps_[key] = {job, now, told};
  return told;
}

}  // namespace overwinter::dashboard
