// JobTexts: jobs as JSON, each state of a job made once for all who ask for it. A view of a job
// never changes, so what was made of it holds until another view is asked for; of a gang at work,
// whose measurements come beside its views, it holds for kResourceEvery.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/time.h"
#include "coordinator/runtime/views.h"

namespace overwinter::dashboard {

// A job that changes all the time is told of this often, to everybody.
inline constexpr Duration kResourceEvery{250};
inline constexpr std::size_t kJobTextsMax = 2'000;

// Thread-safe.
class JobTexts {
 public:
  using Text = std::shared_ptr<const std::string>;  // without a line end
  explicit JobTexts(const runtime::Views& views) : views_(views) {}

  // The resource of this view.
  [[nodiscard]] Text of(const runtime::JobViewPtr& job, Time now);

  // A step of a job's history, as many followers are told of it.
  struct Told {
    std::uint64_t number = 0;  // of the event that it is as of
    Text text;
  };
  // For who knows of the job up to the event `seen`: the state of event `number`, or, so that
  // followers share one text, a state in between that was made less than kResourceEvery ago. A
  // change of state (RUNNING, …) is never held back. `all`: the history of all projects.
  [[nodiscard]] Told recent(bool all, std::uint64_t number, std::uint64_t seen,
                            const runtime::JobViewPtr& job, Time now);

 private:
  struct Made {
    runtime::JobViewPtr job;
    std::shared_ptr<const runtime::ClusterView> cluster;
    Time at{};
    Text text;
  };
  struct Step {
    runtime::JobViewPtr job;
    Time at{};
    Told told;
  };
  const runtime::Views& views_;
  Mutex mutex_;
  std::map<JobId, Made> made_ OW_GUARDED_BY(mutex_);
  std::map<std::pair<bool, JobId>, Step> steps_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::dashboard
