#include "coordinator/telemetry/refusal_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace overwinter::telemetry {

std::string network_of(const std::string& address) {
  in6_addr parsed{};
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return address;
  if (IN6_IS_ADDR_V4MAPPED(&parsed) || IN6_IS_ADDR_LOOPBACK(&parsed)) return address;
  std::memset(&parsed.s6_addr[8], 0, 8);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &parsed, text, sizeof text);
  return text;
}

bool RefusalLimiter::is_open(const Bucket& bucket, Time now) const {
  return bucket.lines.size() < limits_.lines || now - bucket.lines.front() >= limits_.window;
}

RefusalLimiter::Bucket& RefusalLimiter::bucket_of(const AuditEvent& refusal, Time now) {
  Key key{network_of(refusal.address), refusal.actor};
  if (const auto at = buckets_.find(key); at != buckets_.end()) return at->second;
  if (buckets_.size() >= limits_.keys_max) {
    std::erase_if(buckets_, [&](const auto& entry) {
      const Bucket& bucket = entry.second;
      return bucket.counted == 0 && now - bucket.lines.back() >= limits_.window;
    });
  }
  // No address is called so.
  if (buckets_.size() >= limits_.keys_max) key = {"*", "*"};
  return buckets_[std::move(key)];
}

AuditEvent RefusalLimiter::tell(Bucket& bucket, Time now) {
  if (bucket.lines.size() == limits_.lines) bucket.lines.pop_front();
  bucket.lines.push_back(now);
  AuditEvent line = std::move(bucket.last);
  line.repeated = bucket.counted - 1;
  bucket.last = {};
  bucket.counted = 0;
  return line;
}

std::optional<AuditEvent> RefusalLimiter::take(AuditEvent refusal) {
  const Time now = refusal.time;
  Bucket& bucket = bucket_of(refusal, now);
  if (bucket.counted < UINT32_MAX) ++bucket.counted;
  bucket.last = std::move(refusal);
  if (!is_open(bucket, now)) return std::nullopt;
  return tell(bucket, now);
}

std::vector<AuditEvent> RefusalLimiter::due(Time now) {
  std::vector<AuditEvent> lines;
  for (auto& [key, bucket] : buckets_) {
    if (bucket.counted > 0 && is_open(bucket, now)) lines.push_back(tell(bucket, now));
  }
  return lines;
}

std::optional<Time> RefusalLimiter::next_due() const {
  std::optional<Time> next;
  for (const auto& [key, bucket] : buckets_) {
    if (bucket.counted == 0) continue;
    const Time at = bucket.lines.front() + limits_.window;
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::vector<AuditEvent> RefusalLimiter::drain() {
  std::vector<AuditEvent> lines;
  for (auto& [key, bucket] : buckets_) {
    if (bucket.counted > 0) lines.push_back(tell(bucket, bucket.last.time));
  }
  return lines;
}

}  // namespace overwinter::telemetry
