#include "worker/rpc/keep_trying.h"

#include <condition_variable>
#include <mutex>

#include "common/rpc/backoff.h"

namespace overwinter::worker {
namespace {

constexpr int kRefusalsMax = 5;

bool comes_back(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded ||
         code == Code::kResourceExhausted || code == Code::kUnknown || code == Code::kCancelled;
}
bool may_come_back(Code code) {
  return code == Code::kPermissionDenied || code == Code::kUnauthenticated ||
         code == Code::kInternal || code == Code::kDataLoss;
}

void pause_for(Duration time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

Status keep_trying(const Retrying& how, const std::stop_token& stop,
                   const std::function<Status()>& attempt) {
  Backoff backoff(how.first_pause, how.longest_pause, how.seed);
  int refusals = 0;
  for (;;) {
    Status status = error(Code::kUnavailable, "not connected");
    if (!stop.stop_requested()) status = attempt();
    if (status.ok()) return status;
    if (stop.stop_requested()) return error(Code::kCancelled, "the transfer was given up");
    const bool refused = !comes_back(status.code);
    if (refused && (!may_come_back(status.code) || ++refusals >= kRefusalsMax)) return status;
    pause_for(backoff.next(), stop);
  }
}

}  // namespace overwinter::worker
