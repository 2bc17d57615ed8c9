#include "worker/app/pulse.h"

#include <fmt/core.h>

#include <chrono>
#include <fstream>
#include <utility>

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kEvery{5};
constexpr std::chrono::seconds kLately{20};

fs::path pulse_file(const fs::path& data_dir) {
  return data_dir / "pulse";
}

}  // namespace

Pulse::Pulse(fs::path data_dir, std::function<bool()> connected)
    : file_(pulse_file(data_dir)),
      connected_(std::move(connected)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

Pulse::~Pulse() {
  thread_.request_stop();
  thread_.join();
}

void Pulse::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    // On a full disk it stands still, and so does the worker's record of seats.
    if (connected_()) std::ofstream(file_, std::ios::trunc) << "\n";
    changed_.wait_for(lock, stop, Duration(kEvery), [] { return false; });
  }
}

Status connected_lately(const fs::path& data_dir, fs::file_time_type now) {
  std::error_code failed;
  const auto last = fs::last_write_time(pulse_file(data_dir), failed);
  if (failed) {
    return error(Code::kNotFound, "no worker was ever connected with " + data_dir.string(), "",
                 "start overwinter-worker with this --data-dir, as the same user");
  }
  const auto ago = std::chrono::duration_cast<std::chrono::seconds>(now - last);
  if (ago <= kLately) return Status::success();
  return error(Code::kFailedPrecondition,
               fmt::format("not connected to its coordinator for {} s", ago.count()), "",
               "its log says why");
}

}  // namespace overwinter::worker
