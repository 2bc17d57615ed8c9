#include "coordinator/rpc/worker_probes.h"

#include <grpcpp/alarm.h>

#include <chrono>
#include <utility>

namespace overwinter::rpc {
namespace {

constexpr Duration kProbeTick{100};

v1::CoordinatorMessage message_of(std::uint64_t run, const ProbePlan& plan,
                                  const ProbeQuestion& question) {
  v1::CoordinatorMessage out;
  if (!question.peer) {
    out.mutable_describe_host()->set_run(run);
    return out;
  }
  const ProbedWorker& peer = plan.worker(*question.peer);
  v1::ProbePeer& ask = *out.mutable_probe_peer();
  ask.set_run(run);
  ask.set_worker(peer.id.value());
  ask.set_peer_address(peer.peer_address);
  ask.set_measure_rate(question.measure_rate);
  return out;
}

}  // namespace

class WorkerProbes::Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::uint64_t number, ProbeWish wish, Send send, Time wall, Done done)
      : number_(number),
        within_(wish.within),
        wanted_(std::move(wish.wanted)),
        send_(std::move(send)),
        began_(std::chrono::steady_clock::now()),
        plan_(std::move(wish.workers), wish.pairs, wall),
        done_(std::move(done)) {}

  void tick() {
    go_on();
    const MutexLock lock(mutex_);
    if (!done_) return;
    // Weak: an alarm keeps its last callback, and this object the alarm.
    alarm_.Set(std::chrono::system_clock::now() + kProbeTick, [weak = weak_from_this()](bool ok) {
      if (const auto self = weak.lock(); self && ok) self->tick();
    });
  }

  void take(WorkerId worker, const v1::WorkerMessage& message) {
    {
      const MutexLock lock(mutex_);
      if (message.has_host_described() && message.host_described().run() == number_) {
        plan_.host_described(worker, message.host_described().host(), elapsed());
      } else if (message.has_peer_probed() && message.peer_probed().run() == number_) {
        const v1::PeerProbed& probed = message.peer_probed();
        plan_.peer_probed(worker, WorkerId(probed.worker()), probed.link());
      } else {
        return;
      }
    }
    go_on();
  }

  void end(const Status& status) {
    Done done;
    {
      const MutexLock lock(mutex_);
      done = std::exchange(done_, nullptr);
    }
    if (done) done(fail(status));
  }

  [[nodiscard]] bool over() {
    const MutexLock lock(mutex_);
    return !done_;
  }

 private:
  [[nodiscard]] Duration elapsed() const {
    return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - began_);
  }

  // Puts the questions whose turn it is; ends the run when there is nothing left to wait for.
  void go_on() {
    Done done;
    Result<v1::ProbeWorkersResponse> result;
    {
      const MutexLock lock(mutex_);
      if (!done_) return;
      if (!wanted_()) {
        result = fail(Code::kCancelled, "nobody waits for the answer any more");
        done = std::exchange(done_, nullptr);
      } else {
        put_questions();
        if (!plan_.complete() && elapsed() < within_) return;
        result = plan_.result();
        done = std::exchange(done_, nullptr);
      }
    }
    done(std::move(result));
  }

  void put_questions() OW_REQUIRES(mutex_) {
    for (;;) {
      const auto questions = plan_.next(elapsed());
      if (questions.empty()) return;
      for (const ProbeQuestion& question : questions) {
        const ProbedWorker& worker = plan_.worker(question.worker);
        if (!send_(worker.id, worker.incarnation, message_of(number_, plan_, question))) {
          plan_.not_asked(question);
        }
      }
    }
  }

  const std::uint64_t number_;
  const Duration within_;
  const std::function<bool()> wanted_;
  const Send send_;
  const std::chrono::steady_clock::time_point began_;
  grpc::Alarm alarm_;
  Mutex mutex_;
  ProbePlan plan_ OW_GUARDED_BY(mutex_);
  Done done_ OW_GUARDED_BY(mutex_);  // empty: the run is over
};

WorkerProbes::WorkerProbes(Send send, std::function<Time()> wall)
    : send_(std::move(send)), wall_(std::move(wall)) {}

Status WorkerProbes::begin(ProbeWish wish, Done done) {
  std::shared_ptr<Run> run;
  {
    const MutexLock lock(mutex_);
    if (stopped_) return error(Code::kUnavailable, "the coordinator is stopping");
    if (run_ && !run_->over()) {
      return error(Code::kResourceExhausted, "the workers are being probed for somebody else", {},
                   "ask again when that is over");
    }
    run = std::make_shared<Run>(next_++, std::move(wish), send_, wall_(), std::move(done));
    run_ = run;
  }
  run->tick();
  return Status::success();
}

void WorkerProbes::take(WorkerId worker, const v1::WorkerMessage& message) {
  std::shared_ptr<Run> run;
  {
    const MutexLock lock(mutex_);
    run = run_;
  }
  if (run) run->take(worker, message);
}

void WorkerProbes::stop() {
  std::shared_ptr<Run> run;
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    run = run_;
  }
  if (run) run->end(error(Code::kUnavailable, "the coordinator is stopping"));
}

}  // namespace overwinter::rpc
