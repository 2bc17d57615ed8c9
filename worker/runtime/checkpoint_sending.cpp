#include "worker/runtime/checkpoint_sending.h"

#include <utility>

#include "common/base/log.h"

namespace overwinter::worker {

CheckpointSending::CheckpointSending(CheckpointPort& port, Access access)
    : port_(port),
      access_(std::move(access)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

CheckpointSending::~CheckpointSending() {
  give_up();
  thread_.request_stop();
  const MutexLock lock(mutex_);
  arrived_.notify_all();
}

void CheckpointSending::send(CheckpointManifest manifest, std::filesystem::path folder, Done done) {
  const MutexLock lock(mutex_);
  queue_.push_back({std::move(manifest), std::move(folder), std::move(done)});
  arrived_.notify_all();
}

void CheckpointSending::give_up() {
  given_up_.request_stop();
}

void CheckpointSending::run(const std::stop_token& stop) {
  for (;;) {
    Item next;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stop.stop_requested()) arrived_.wait(mutex_);
      if (queue_.empty()) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    const Status kept =
        given_up_.stop_requested()
            ? error(Code::kCancelled, "given up, for the job ends")
            : port_.store(access_(), next.manifest, next.folder, given_up_.get_token());
    if (!kept.ok()) {
      log_warning("job {}: the checkpoint of step {} was not kept: {}", next.manifest.job.value(),
                  next.manifest.step, kept.message);
    }
    next.done(kept);
  }
}

}  // namespace overwinter::worker
