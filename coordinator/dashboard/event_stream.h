// GET /api/v1/events: what changes, while somebody looks (DASHBOARD §9). Server-sent events: `job`
// and `worker` carry the whole resource, so that a repeat is harmless; `hello` begins, `reset` says
// that something was missed and is to be asked for again, `heartbeat` that there is contact.
//
//   topics   jobs | workers | projects/P/jobs/J, several with commas between
//   after    the id of the last event that was seen (or the header Last-Event-ID)
//
// A resource is sent at most four times a second, its newest state. Ids count within the history of
// all that the caller sees; every answer to a GET says, as Overwinter-Event, which it is as of.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/domain/principal.h"
#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/job_texts.h"
#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

inline constexpr Duration kWorkersEvery{1000};
inline constexpr Duration kHeartbeatEvery{10'000};
inline constexpr std::size_t kStreamsMax = 192;        // of the coordinator
inline constexpr std::size_t kStreamsOfOneMax = 24;    // of a token
inline constexpr std::size_t kJobsWaitingMax = 1'000;  // to be sent; more is a reset

// How many are open, and whose. Thread-safe.
class StreamCount {
 public:
  // RESOURCE_EXHAUSTED at a bound; else the place is held as long as the pointer.
  [[nodiscard]] static Result<std::shared_ptr<void>> take(const std::shared_ptr<StreamCount>& of,
                                                          std::uint64_t token);

 private:
  Mutex mutex_;
  std::map<std::uint64_t, std::size_t> open_ OW_GUARDED_BY(mutex_);
  std::size_t all_ OW_GUARDED_BY(mutex_) = 0;
};

// On the server's thread, but for what the views tell.
class EventStream final : public Stream {
 public:
  struct Wish {
    bool jobs = false;            // every job
    std::set<std::string> names;  // of single jobs: resource names
    bool workers = false;
    std::optional<std::uint64_t> after;
  };
  // INVALID_ARGUMENT for topics that make no sense, NOT_FOUND for what the caller does not see.
  [[nodiscard]] static Result<Wish> wish_of(const Sources& sources, const Principal& caller,
                                            std::string_view query,
                                            const std::string& last_event_id);

  // `place`: see StreamCount. `still`: not OK once the caller may not read any more. `texts`
  // outlives this.
  EventStream(const Sources& sources, JobTexts& texts, Principal caller, Wish wish,
              std::shared_ptr<void> place, std::function<Status()> still);
  ~EventStream() override;

  void start(std::function<void()> wake) override;
  Piece next() override;

 private:
  struct Waiting {
    std::uint64_t number = 0;
    runtime::JobViewPtr job;
  };
  void take_events(std::string& out);
  void send_jobs(Time now, std::string& out);
  void send_workers(Time now, std::string& out);
  [[nodiscard]] bool wanted(const runtime::JobView& job) const;
  // When a job that waits may be sent.
  [[nodiscard]] Time due_at(JobId id) const;
  [[nodiscard]] Duration until_next(Time now) const;
  [[nodiscard]] Duration rest(Time now) const;

  const Sources& sources_;
  JobTexts& texts_;
  const Principal caller_;
  const Wish wish_;
  const std::shared_ptr<void> place_;
  const std::function<Status()> still_;
  std::optional<runtime::Views::ListenerId> listener_;
  std::uint64_t next_ = 0;
  std::uint64_t began_ = 0;  // the event up to which its reader knew everything at the start
  bool greeted_ = false;
  std::map<JobId, Waiting> waiting_;
  struct Sent {
    Time at{};
    std::uint64_t number = 0;  // of the event up to which its reader knows the job
  };
  std::map<JobId, Sent> sent_;  // the last ones
  std::map<WorkerId, runtime::WorkerViewPtr> workers_;
  Time workers_at_{};
  Time heartbeat_at_{};
};

// Answers who was let in.
[[nodiscard]] Response follow_events(const Sources& sources, JobTexts& texts,
                                     const std::shared_ptr<StreamCount>& streams,
                                     const Request& request, std::string_view query,
                                     const Principal& caller);

}  // namespace overwinter::dashboard
