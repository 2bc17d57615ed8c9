#include "coordinator/runtime/admission.h"

#include "coordinator/telemetry/refusal_limiter.h"

namespace overwinter::runtime {

bool Admission::enter(const std::string& address) {
  const std::string network = telemetry::network_of(address);
  const MutexLock lock(mutex_);
  if (counts_.open >= limits_.connections_max) {
    ++counts_.full;
    return false;
  }
  const auto at = of_address_.find(network);
  if (at != of_address_.end() && at->second >= limits_.of_an_address_max) {
    ++counts_.of_address;
    return false;
  }
  ++counts_.open;
  ++counts_.accepted;
  ++of_address_[network];
  return true;
}

void Admission::leave(const std::string& address) {
  const std::string network = telemetry::network_of(address);
  const MutexLock lock(mutex_);
  --counts_.open;
  const auto at = of_address_.find(network);
  if (--at->second == 0) of_address_.erase(at);
}

bool Admission::crowded() const {
  const MutexLock lock(mutex_);
  return counts_.open * 4 >= limits_.connections_max * 3;
}

void Admission::ended_late() {
  const MutexLock lock(mutex_);
  ++counts_.late;
}

void Admission::ended_greedy() {
  const MutexLock lock(mutex_);
  ++counts_.greedy;
}

ConnectionCounts Admission::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

}  // namespace overwinter::runtime
