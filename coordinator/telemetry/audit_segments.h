// AuditSegments: events of the audit on disk, in at most two files of bounded size; when both are
// full the older one goes. The format, with its number, is described in this room's README.
// Thread-safe; reads and writes hold each other up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/telemetry/audit_event.h"

namespace overwinter::telemetry {

// `key`: microseconds since 1970, made unique: events in the order in which they were written.
struct AuditItem {
  std::uint64_t key = 0;
  AuditEvent event;
};
inline constexpr std::size_t kAuditTextBytesMax = 1000;  // of each text; longer ones are cut

struct AuditSegmentsConfig {
  std::size_t segment_bytes = std::size_t{2} << 20;
  bool sync = false;  // whether append() returns when its events would survive a power cut
};

class AuditSegments {
 public:
  // Files `NAME-N.log` in `folder`, which is there. What a crash tore off is cut.
  [[nodiscard]] static Result<std::unique_ptr<AuditSegments>> open(
      const std::filesystem::path& folder, const std::string& name,
      const AuditSegmentsConfig& config = {});

  // Keys rise from call to call. RESOURCE_EXHAUSTED or INTERNAL: the disk did not take them; they
  // are lost.
  Status append(std::span<const AuditItem> items);
  // Newest first, those with a key below `below` for which `wanted` is true; at most `max`.
  [[nodiscard]] std::vector<AuditItem> read(
      std::uint64_t below, std::size_t max,
      const std::function<bool(const AuditItem&)>& wanted) const;
  // The last key ever given; 0: none that is still there.
  [[nodiscard]] std::uint64_t last_key() const;
  [[nodiscard]] std::uint64_t bytes() const;  // on disk

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::size_t bytes = 0;  // good ones
  };
  AuditSegments(std::filesystem::path folder, std::string name, const AuditSegmentsConfig& config)
      : folder_(std::move(folder)), name_(std::move(name)), config_(config) {}
  [[nodiscard]] std::filesystem::path path_of(std::uint64_t number) const;
  Status load() OW_REQUIRES(mutex_);
  Status begin_segment() OW_REQUIRES(mutex_);
  Status write(std::string_view data) OW_REQUIRES(mutex_);

  const std::filesystem::path folder_;
  const std::string name_;
  const AuditSegmentsConfig config_;
  mutable Mutex mutex_;
  std::vector<Segment> segments_ OW_GUARDED_BY(mutex_);  // one or two, oldest first
  std::uint64_t last_key_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::telemetry
