// Admission: whether a port takes one more connection, and what became of those that it took. One
// of each port. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "common/base/mutex.h"
#include "coordinator/runtime/connection_counts.h"

namespace overwinter::runtime {

struct AdmissionLimits {
  std::size_t connections_max = 4096;
  // An IPv6 address counts with its /64 network, which one host may have to itself.
  std::size_t of_an_address_max = 256;
};

class Admission {
 public:
  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  // Counts it, or why it is not taken.
  [[nodiscard]] bool enter(const std::string& address);
  // Once for each that entered.
  void leave(const std::string& address);
  // Three quarters of the room are taken: who shows nobody has less time than usual.
  [[nodiscard]] bool crowded() const;

  // Why one that had entered is ended.
  void ended_late();
  void ended_greedy();
  [[nodiscard]] ConnectionCounts counts() const;

 private:
  const AdmissionLimits limits_;
  mutable Mutex mutex_;
  ConnectionCounts counts_ OW_GUARDED_BY(mutex_);
  std::map<std::string, std::size_t> of_address_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::runtime
