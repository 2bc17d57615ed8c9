// RefusalLimiter: which refusals become lines, so that nobody can flood the audit: of an address
// and actor at most `lines` in any `window`; what comes above is counted and told of by the next
// line. An IPv6 address counts with its /64 network, which one host may have to itself. Bounded:
// above `keys_max` addresses and actors at once the others share one count. Pure: time is given.
// One thread at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/telemetry/audit_event.h"

namespace overwinter::telemetry {

struct RefusalLimits {
  std::size_t lines = 10;
  Duration window{60'000};
  std::size_t keys_max = 256;
};

class RefusalLimiter {
 public:
  explicit RefusalLimiter(const RefusalLimits& limits = {}) : limits_(limits) {}

  // The line to write, or nothing: it was counted.
  [[nodiscard]] std::optional<AuditEvent> take(AuditEvent refusal);
  // Lines for what was counted and may be told of by now: each is the last of its kind.
  [[nodiscard]] std::vector<AuditEvent> due(Time now);
  // When the next one may be told of; nothing: nothing is counted.
  [[nodiscard]] std::optional<Time> next_due() const;
  // All that is counted, whether it may be told of or not: before the end.
  [[nodiscard]] std::vector<AuditEvent> drain();
  [[nodiscard]] std::size_t keys() const { return buckets_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;  // network, actor
  struct Bucket {
    std::deque<Time> lines;  // of the window, oldest first
    std::uint32_t counted = 0;
    AuditEvent last;  // while something is counted
  };
  Bucket& bucket_of(const AuditEvent& refusal, Time now);
  [[nodiscard]] bool is_open(const Bucket& bucket, Time now) const;
  AuditEvent tell(Bucket& bucket, Time now);

  const RefusalLimits limits_;
  std::map<Key, Bucket> buckets_;
};

// The part of an address that one host may choose from: itself, of IPv6 its /64.
[[nodiscard]] std::string network_of(const std::string& address);

}  // namespace overwinter::telemetry
