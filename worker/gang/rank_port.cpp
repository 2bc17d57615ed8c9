#include "worker/gang/rank_port.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <utility>

#include "common/base/check.h"

namespace overwinter::worker {

SocketRankPort::SocketRankPort(LocalChannel channel, Duration life_every,
                               std::function<void(const Status&)> lost)
    : channel_(std::move(channel)),
      life_every_(life_every),
      lost_(std::move(lost)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  check(wake_ >= 0, "an eventfd can be made");
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

SocketRankPort::~SocketRankPort() {
  thread_.request_stop();
  wake();
  thread_.join();
  ::close(wake_);
}

void SocketRankPort::wake() const {
  const std::uint64_t one = 1;
  // It fails only when the counter is full: then it is awake.
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
}

Status SocketRankPort::queue(v1::LocalRequest message) {
  {
    const MutexLock lock(mutex_);
    if (gone_) return *gone_;
    if (outbox_.size() >= kProgressMax && message.has_progress()) {
      for (auto it = outbox_.begin(); it != outbox_.end(); ++it) {
        if (!it->has_progress()) continue;
        outbox_.erase(it);
        break;
      }
    }
    outbox_.push_back(std::move(message));
  }
  wake();
  return Status::success();
}

Status SocketRankPort::hello(const v1::RankHello& hello) {
  v1::LocalRequest message;
  *message.mutable_hello() = hello;
  return queue(std::move(message));
}

Status SocketRankPort::fetch_task(Duration within) {
  v1::LocalRequest message;
  message.mutable_ready();
  if (Status queued = queue(std::move(message)); !queued.ok()) return queued;
  std::unique_lock lock(mutex_);
  ready_ = true;
  changed_.wait_for(lock, within, [this] { return arrived_ || gone_; });
  if (arrived_) {
    task_ = *std::exchange(arrived_, std::nullopt);
    return Status::success();
  }
  return gone_ ? *gone_ : error(Code::kDeadlineExceeded, "the daemon sent no task");
}

void SocketRankPort::end(const v1::RankEnded& ended, Duration within) {
  v1::LocalRequest message;
  *message.mutable_ended() = ended;
  if (!queue(std::move(message)).ok()) return;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, within, [this] { return gone_ || (outbox_.empty() && !writing_); });
}

void SocketRankPort::progress(const v1::RankProgress& progress) {
  {
    const MutexLock lock(mutex_);
    last_ = progress;
  }
  v1::LocalRequest message;
  *message.mutable_progress() = progress;
  (void)queue(std::move(message));  // a daemon that is gone ends this process anyway
}

Status SocketRankPort::send_checkpoint(const v1::RankCheckpoint& checkpoint) {
  v1::LocalRequest message;
  *message.mutable_checkpoint() = checkpoint;
  return queue(std::move(message));
}

std::optional<v1::CheckpointKept> SocketRankPort::checkpoint_answer() {
  const MutexLock lock(mutex_);
  if (answers_.empty()) return std::nullopt;
  v1::CheckpointKept answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

Result<v1::CheckpointKept> SocketRankPort::wait_checkpoint_answer(Duration within) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, within, [this] { return !answers_.empty() || gone_; });
  if (answers_.empty()) {
    if (gone_) return fail(*gone_);
    return fail(Code::kDeadlineExceeded, "the daemon did not answer to a checkpoint");
  }
  v1::CheckpointKept answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

v1::RankStop::How SocketRankPort::stop_asked() const {
  return static_cast<v1::RankStop::How>(stop_.load());
}

std::uint64_t SocketRankPort::last_step() const {
  const MutexLock lock(mutex_);
  return last_.step();
}

void SocketRankPort::run(const std::stop_token& stop) {
  auto next_life = std::chrono::steady_clock::now() + life_every_;
  while (!stop.stop_requested()) {
    const auto left = std::chrono::ceil<Duration>(next_life - std::chrono::steady_clock::now());
    std::array<pollfd, 2> wait{pollfd{channel_.descriptor(), POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
    ::poll(wait.data(), wait.size(), static_cast<int>(std::max(left, Duration(0)).count()));
    std::uint64_t drained = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_, &drained, sizeof drained);
    if ((wait[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      for (;;) {
        auto message = channel_.receive(Duration(0));
        if (!message) return lose(message.error());
        if (!message->has_value()) break;
        take(**message);
      }
    }
    if (std::chrono::steady_clock::now() >= next_life) {
      next_life = std::chrono::steady_clock::now() + life_every_;
      const MutexLock lock(mutex_);
      if (ready_ && outbox_.empty()) *outbox_.emplace_back().mutable_progress() = last_;
    }
    if (!send_waiting()) return;
  }
}

bool SocketRankPort::send_waiting() {
  for (;;) {
    v1::LocalRequest message;
    {
      const MutexLock lock(mutex_);
      writing_ = !outbox_.empty();
      if (!writing_) {
        changed_.notify_all();
        return true;
      }
      message = std::move(outbox_.front());
      outbox_.pop_front();
    }
    if (Status sent = channel_.send(message); !sent.ok()) {
      lose(sent);
      return false;
    }
  }
}

void SocketRankPort::take(const v1::LocalResponse& message) {
  if (message.has_stop()) {
    if (message.stop().how() == v1::RankStop::CHECKPOINT) {
      ++checkpoints_asked_;
    } else if (stop_ != v1::RankStop::NOW) {
      stop_ = message.stop().how();
    }
    return;
  }
  const MutexLock lock(mutex_);
  if (message.has_task()) arrived_ = message.task();
  if (message.has_checkpoint_kept()) answers_.push_back(message.checkpoint_kept());
  changed_.notify_all();
}

void SocketRankPort::lose(const Status& why) {
  {
    const MutexLock lock(mutex_);
    gone_ = why;
    changed_.notify_all();
  }
  lost_(why);
}

}  // namespace overwinter::worker
