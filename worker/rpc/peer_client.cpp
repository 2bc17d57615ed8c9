#include "worker/rpc/peer_client.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <set>
#include <utility>

#include "common/base/mutex.h"
#include "worker/rpc/peer_dial.h"

namespace overwinter::worker {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Duration kEndWithin{3000};

// The client's end of one launch. Kept by itself until gRPC is done with it.
class LaunchCall final : public grpc::ClientBidiReactor<v1::LaunchRequest, v1::LaunchResponse>,
                         public std::enable_shared_from_this<LaunchCall> {
 public:
  using Ended = std::function<void(const PeerLaunchEnd&)>;
  using Done = std::function<void(LaunchCall*)>;

  LaunchCall(const PeerClientConfig& config, DialedPeer dialed, Ended ended, Done done)
      : config_(config),
        dialed_(std::move(dialed)),
        done_(std::move(done)),
        ended_(std::move(ended)),
        heard_(SteadyClock::now()) {}

  void begin(const PeerLaunchOrder& order) {
    self_ = shared_from_this();
    const MutexLock lock(mutex_);
    v1::LaunchOrder& message = *outbox_.emplace_back().mutable_order();
    message.set_job(order.key.job.value());
    message.set_attempt(order.key.attempt);
    message.set_token(order.token);
    for (const std::string& word : order.words) message.add_words(word);
    dialed_.stub->async()->Launch(&context_, this);
    AddHold();  // writes begin outside of reactions too
    StartRead(&incoming_);
    write_more();
    next_tick();
    StartCall();
  }

  // Nobody listens any more; it ends over there, and here soon after.
  void abandon() {
    {
      // An `ended` that is running is waited for.
      const MutexLock lock(calling_);
      ended_ = nullptr;
    }
    const MutexLock lock(mutex_);
    if (closed_) return;
    outbox_.emplace_back().mutable_stop()->set_kill(true);
    give_up_ = SteadyClock::now() + kEndWithin;
    write_more();
  }

  void cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    const MutexLock lock(mutex_);
    if (!ok) {
      closed_ = true;
      RemoveHold();
      return;
    }
    heard_ = SteadyClock::now();
    if (incoming_.has_accepted()) end_.began = true;
    if (incoming_.has_ended()) {
      told_ = true;
      end_.exit_code = incoming_.ended().exit_code();
      end_.message = incoming_.ended().message();
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    writing_ = false;
    if (ok) write_more();
  }

  void OnDone(const grpc::Status& status) override {
    alarm_.Cancel();
    PeerLaunchEnd end;
    {
      const MutexLock lock(mutex_);
      closed_ = true;
      end = end_;
      if (!told_) {
        end.lost = true;
        end.exit_code = 255;
        end.message = lost_why_.empty() ? dialed_.status(status).message : lost_why_;
      }
    }
    {
      const MutexLock lock(calling_);
      if (ended_) ended_(end);
      ended_ = nullptr;
    }
    const std::shared_ptr<LaunchCall> last = std::move(self_);
    done_(this);
  }

 private:
  void write_more() OW_REQUIRES(mutex_) {
    if (writing_ || closed_ || outbox_.empty()) return;
    outgoing_ = std::move(outbox_.front());
    outbox_.pop_front();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void next_tick() OW_REQUIRES(mutex_) {
    alarm_.Set(std::chrono::system_clock::now() + config_.alive_every,
               [self = shared_from_this()](bool ok) {
                 if (ok) self->tick();
               });
  }

  void tick() {
    const MutexLock lock(mutex_);
    if (closed_) return;
    const auto now = SteadyClock::now();
    const Duration patience = end_.began ? config_.lost_after : config_.accept_within;
    const bool silent = now - heard_ > patience;
    if (silent || (give_up_ && now > *give_up_)) {
      if (silent) {
        lost_why_ = (end_.began ? "no sign of life from its daemon for "
                                : "its daemon does not answer, for ") +
                    format_duration(patience);
      }
      context_.TryCancel();
      return;
    }
    if (outbox_.empty()) outbox_.emplace_back().mutable_alive();
    write_more();
    next_tick();
  }

  const PeerClientConfig& config_;
  const DialedPeer dialed_;
  const Done done_;
  grpc::ClientContext context_;
  v1::LaunchRequest outgoing_;
  v1::LaunchResponse incoming_;
  grpc::Alarm alarm_;
  std::shared_ptr<LaunchCall> self_;

  Mutex calling_;
  Ended ended_ OW_GUARDED_BY(calling_);

  Mutex mutex_;
  std::deque<v1::LaunchRequest> outbox_ OW_GUARDED_BY(mutex_);
  SteadyClock::time_point heard_ OW_GUARDED_BY(mutex_);
  std::optional<SteadyClock::time_point> give_up_ OW_GUARDED_BY(mutex_);
  PeerLaunchEnd end_ OW_GUARDED_BY(mutex_);
  bool told_ OW_GUARDED_BY(mutex_) = false;  // the other side said how it ended
  std::string lost_why_ OW_GUARDED_BY(mutex_);
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  bool closed_ OW_GUARDED_BY(mutex_) = false;
};

class LaunchHandle final : public PeerLaunches::Launch {
 public:
  explicit LaunchHandle(std::shared_ptr<LaunchCall> call) : call_(std::move(call)) {}
  ~LaunchHandle() override {
    if (call_) call_->abandon();
  }
  LaunchHandle(const LaunchHandle&) = delete;
  LaunchHandle& operator=(const LaunchHandle&) = delete;

 private:
  std::shared_ptr<LaunchCall> call_;
};

}  // namespace

struct PeerClient::Shared {
  explicit Shared(PeerClientConfig configuration) : config(std::move(configuration)) {}
  const PeerClientConfig config;
  Mutex mutex;
  Condition changed;
  std::set<LaunchCall*> calls OW_GUARDED_BY(mutex);
};

PeerClient::PeerClient(PeerClientConfig config)
    : shared_(std::make_shared<Shared>(std::move(config))) {}

PeerClient::~PeerClient() {
  std::unique_lock lock(shared_->mutex);
  const auto none = [this] { return shared_->calls.empty(); };
  if (shared_->changed.wait_for(lock, kEndWithin, none)) return;
  for (LaunchCall* call : shared_->calls) call->cancel();
  shared_->changed.wait(lock, none);
}

std::unique_ptr<PeerLaunches::Launch> PeerClient::launch(
    const PeerLaunchOrder& order, std::function<void(const PeerLaunchEnd&)> ended) {
  auto dialed = dial_peer(shared_->config.leaf_dir, order.address, order.worker);
  if (!dialed) {
    ended({false, true, 255, dialed.error().message});
    return std::make_unique<LaunchHandle>(nullptr);
  }
  auto call = std::make_shared<LaunchCall>(shared_->config, std::move(*dialed), std::move(ended),
                                           [shared = shared_](LaunchCall* gone) {
                                             const MutexLock lock(shared->mutex);
                                             shared->calls.erase(gone);
                                             shared->changed.notify_all();
                                           });
  {
    const MutexLock lock(shared_->mutex);
    shared_->calls.insert(call.get());
  }
  call->begin(order);
  return std::make_unique<LaunchHandle>(std::move(call));
}

}  // namespace overwinter::worker
