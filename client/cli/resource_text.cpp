#include "client/cli/resource_text.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "common/base/bytes.h"

namespace overwinter::cli {

std::string devices_text(const v1::Worker& worker) {
  std::string text;
  for (int i = 0; i < worker.devices_size(); ++i) {
    const v1::Device& device = worker.devices(i);
    const v1::DeviceUse use = i < worker.uses_size() ? worker.uses(i) : v1::DeviceUse();
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}/{}/{} {}t", device.kind(), format_bytes(use.memory_used_bytes()),
                        format_bytes(use.memory_reserved_bytes()),
                        format_bytes(device.memory_bytes()), device.threads());
  }
  return text;
}

std::string device_use_text(const v1::Device& device, const v1::DeviceUse& use) {
  return fmt::format("{} used, {} of {} reserved, {} of {} threads, {} seat{}",
                     format_bytes(use.memory_used_bytes()),
                     format_bytes(use.memory_reserved_bytes()), format_bytes(device.memory_bytes()),
                     use.threads_reserved(), device.threads(), use.seats(),
                     use.seats() == 1 ? "" : "s");
}

std::string no_progress_text(const v1::Job& job, Time now) {
  using google::protobuf::util::TimeUtil;
  const v1::Progress& progress = job.progress();
  if (!progress.has_update_time() || !progress.has_update_interval()) return {};
  const Duration silent =
      now - time_from_unix_ms(TimeUtil::TimestampToMilliseconds(progress.update_time()));
  const Duration usual(TimeUtil::DurationToMilliseconds(progress.update_interval()));
  if (silent <= std::max(Duration(60'000), 3 * usual)) return {};
  return fmt::format("no progress for {} (usually every {})", format_duration(silent),
                     format_duration(usual));
}

}  // namespace overwinter::cli
