#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/rpc/job_service.h"
#include "coordinator/rpc/pooled_stream.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kEventsAtOnce = 64;
constexpr std::size_t kFirstJobsMax = 10'000;

// One open watch. It holds a number and at most one message on its way; what a slow reader misses
// it takes from the project's history later, or is told that it is too old.
class Watch final : public grpc::ServerWriteReactor<v1::WatchJobsResponse> {
 public:
  Watch(ServiceContext& context, const Principal& caller, std::string project, std::string job,
        std::uint64_t from)
      : context_(context), caller_(caller), project_(std::move(project)), job_(std::move(job)) {
    next_ = from;
    if (from == 0) {
      // The number is taken first: a change in between is shown twice rather than never.
      next_ = context_.views.next_event(project_);
      for (auto& view : context_.views.jobs(project_)) {
        if (wanted(*view)) waiting_.push_front({next_ - 1, view});
        if (waiting_.size() > kFirstJobsMax) break;
      }
    }
    stream_ = context_.streams.add(caller_.kind, caller_.id, [this](const Status& status) {
      MutexLock lock(mutex_);
      end(status);
    });
    listener_ = context_.views.listen(project_, [this] { pump(); });
    if (too_many()) return;
    pump();
  }

  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (!ok) return end(error(Code::kCancelled, "the watcher has gone"));
    }
    pump();
  }

  void OnCancel() override {
    MutexLock lock(mutex_);
    end(error(Code::kCancelled, "the watch was cancelled"));
  }

  void OnDone() override {
    context_.views.unlisten(listener_);
    context_.streams.remove(stream_);
    delete this;
  }

 private:
  [[nodiscard]] bool wanted(const runtime::JobView& job) const {
    return job_.empty() || job.name == job_;
  }

  // Ends a watch that would begin with more than it may hold.
  bool too_many() {
    MutexLock lock(mutex_);
    if (waiting_.size() <= kFirstJobsMax) return false;
    waiting_.clear();
    end(error(Code::kFailedPrecondition, "there are more than 10,000 jobs to begin with",
              "from_event", "list them page by page and watch from the event of the first page"));
    return true;
  }

  // A write under way ends by itself or, when the reader takes nothing, with its connection.
  void end(const Status& status) OW_REQUIRES(mutex_) {
    if (ended_) return;
    ended_ = true;
    Finish(to_grpc(status));
  }

  void pump() {
    MutexLock lock(mutex_);
    if (writing_ || ended_) return;
    while (waiting_.empty()) {
      auto events = context_.views.events(project_, next_, kEventsAtOnce);
      if (!events) return end(events.error());
      if (events->empty()) return;
      for (auto& event : *events) {
        next_ = event.number + 1;
        if (wanted(*event.job)) waiting_.push_back(std::move(event));
      }
    }
    // The number to come back with: that of the first event not shown yet.
    message_.set_event(waiting_.front().number + 1);
    *message_.mutable_job() = runtime::job_resource(context_.views, *waiting_.front().job);
    waiting_.pop_front();
    writing_ = true;
    StartWrite(&message_);
  }

  ServiceContext& context_;
  const Principal caller_;
  const std::string project_;
  const std::string job_;
  std::uint64_t stream_ = 0;
  runtime::Views::ListenerId listener_ = 0;
  Mutex mutex_;
  std::deque<runtime::JobEvent> waiting_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_ OW_GUARDED_BY(mutex_) = 0;
  v1::WatchJobsResponse message_ OW_GUARDED_BY(mutex_);
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  bool ended_ OW_GUARDED_BY(mutex_) = false;
};

// Of a job that left the core: as it ended, once. Nothing will change it.
class WatchOfPast final : public grpc::ServerWriteReactor<v1::WatchJobsResponse> {
 public:
  WatchOfPast(ServiceContext& context, const Principal& caller, const std::string& name) {
    const Status taken = context.pool.run(runtime::Work::kRead, [this, &context, caller, name] {
      const auto past = runtime::find_past_job(context.store.history(), caller, name);
      if (!past) return Finish(to_grpc(past.error(), name));
      message_.set_event(context.views.next_event((*past)->project));
      *message_.mutable_job() = runtime::job_resource(context.views, **past);
      StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    });
    if (!taken.ok()) Finish(to_grpc(taken));
  }
  void OnDone() override { delete this; }

 private:
  v1::WatchJobsResponse message_;
};

struct Target {
  std::string project;
  std::string job;
};

Result<Target> target(const ServiceContext& context, const Principal& caller,
                      const v1::WatchJobsRequest& request) {
  if (!request.name().empty()) {
    const auto job = find_job(context, caller, request.name());
    if (!job) return fail(job.error());
    return Target{(*job)->project, (*job)->name};
  }
  auto project = runtime::visible_parent(context.views, caller, request.parent());
  if (!project) return fail(project.error());
  return Target{std::move(*project), {}};
}

}  // namespace

grpc::ServerWriteReactor<v1::WatchJobsResponse>* watch_jobs(ServiceContext& context,
                                                            grpc::CallbackServerContext* call,
                                                            const v1::WatchJobsRequest& request) {
  const auto caller = context.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) return new RefusedStream<v1::WatchJobsResponse>(caller.error());
  auto what = target(context, *caller, request);
  if (!what && what.error().code == Code::kNotFound && !request.name().empty()) {
    return new WatchOfPast(context, *caller, request.name());
  }
  if (!what) return new RefusedStream<v1::WatchJobsResponse>(what.error());
  return new Watch(context, *caller, std::move(what->project), std::move(what->job),
                   request.from_event());
}

}  // namespace overwinter::rpc
