#include "coordinator/runtime/releases.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "common/base/log.h"
#include "coordinator/notify/release_command.h"

namespace overwinter::runtime {
namespace {

constexpr std::size_t kWaitingMax = 10'000;
constexpr auto kAnswerTime = std::chrono::seconds(30);
constexpr auto kAskedEvery = std::chrono::milliseconds(100);

}  // namespace

Releases::Releases(const Views& views, Requests& requests, notify::ToldFile& told)
    : views_(views), requests_(requests), told_(told) {}

void Releases::put(Release release) {
  const MutexLock lock(mutex_);
  if (stop_ || waiting_.size() >= kWaitingMax) return;
  waiting_.push_back(std::move(release));
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_all();
}

void Releases::stop() {
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    stop_ = true;
    thread = std::move(thread_);
  }
  changed_.notify_all();
  if (thread.joinable()) thread.join();
}

void Releases::work() {
  for (;;) {
    Release release;
    {
      const MutexLock lock(mutex_);
      while (waiting_.empty() && !stop_) changed_.wait(mutex_);
      if (stop_) return;
      release = std::move(waiting_.front());
      waiting_.pop_front();
    }
    act(release);
  }
}

bool Releases::is_free(WorkerId id) const {
  const auto worker = views_.worker(id);
  if (!worker) return false;
  const bool here =
      worker->state == core::WorkerState::kReady || worker->state == core::WorkerState::kDraining;
  return here && std::all_of(worker->uses.begin(), worker->uses.end(),
                             [](const DeviceUseView& use) { return use.seats == 0; });
}

Status Releases::ask(WorkerId id, core::WorkerAction action) {
  const auto answer = std::make_shared<std::promise<Status>>();
  auto told = answer->get_future();
  core::WorkerActionRequested event;  // by the system
  event.worker = id;
  event.action = action;
  requests_.ask_vital(std::move(event),
                      [answer](const core::Reply& reply) { answer->set_value(reply.status); });
  const auto until = std::chrono::steady_clock::now() + kAnswerTime;
  while (told.wait_for(kAskedEvery) != std::future_status::ready) {
    if (stop_ || std::chrono::steady_clock::now() >= until)
      return error(Code::kUnavailable, "the coordinator did not answer");
  }
  return told.get();
}

// Written down before the command runs: a crash in the middle does not run it twice.
void Releases::act(const Release& release) {
  if (told_.has(std::string(notify::kReleased), release.owner, release.key)) return;
  const auto before = views_.worker(release.worker);
  if (!is_free(release.worker)) return;
  const bool was_draining = before->state == core::WorkerState::kDraining;
  if (!was_draining) {
    if (const Status drained = ask(release.worker, core::WorkerAction::kDrain); !drained.ok()) {
      log_warning("worker {} was not released: {}", release.name, drained.message);
      return;
    }
  }
  const auto back = [&] {
    if (was_draining || stop_) return;
    if (const Status resumed = ask(release.worker, core::WorkerAction::kResume); !resumed.ok())
      log_warning("worker {} stays drained: {}", release.name, resumed.message);
  };
  if (!is_free(release.worker)) return back();  // it was given work just before
  told_.add(std::string(notify::kReleased), release.owner, release.key);
  told_.save();
  log_info("actor=coordinator action=release worker={}: {}; its release command runs", release.name,
           release.idle);
  const Status ended =
      notify::run_release_command(release.command, release.name, notify::kReleaseTime, stop_);
  if (ended.ok()) {
    log_info("actor=coordinator action=release worker={} outcome=ok: it stays drained",
             release.name);
    return;
  }
  if (ended.code == Code::kCancelled) {
    told_.remove(std::string(notify::kReleased), release.owner, release.key);
    told_.save();
  }
  log_warning("actor=coordinator action=release worker={} outcome=failed: {}", release.name,
              ended.message);
  back();
}

}  // namespace overwinter::runtime
