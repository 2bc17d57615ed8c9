#include "coordinator/artifacts/live_upload.h"

#include <fmt/format.h>

#include <utility>

namespace overwinter::artifacts {

void LiveUpload::begin(Time now) {
  MutexLock lock(mutex);
  last_sign = now;
}

Status LiveUpload::write(std::span<const std::byte> data, Time now) {
  MutexLock lock(mutex);
  if (!file) return ended;
  last_sign = now;
  Status status = file->write(data);
  if (!status.ok() && status.code != Code::kInvalidArgument) end(status);
  return status;
}

void LiveUpload::end(Status why) {
  if (!file) return;
  file.reset();
  ended = std::move(why);
}

void LiveUpload::give_up() {
  MutexLock lock(mutex);
  end(error(Code::kCancelled, "The upload was given up."));
}

bool LiveUpload::end_if_idle(Time now, Duration idle_max) {
  if (!mutex.try_lock()) return false;
  const bool idle = file && now - last_sign > idle_max;
  if (idle) {
    end(error(Code::kDeadlineExceeded, fmt::format("The upload sent nothing for {} and was ended.",
                                                   format_duration(idle_max))));
  }
  mutex.unlock();
  return idle;
}

}  // namespace overwinter::artifacts
