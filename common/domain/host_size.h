// What a machine has beside its devices: what a worker says of its own, and what a job asks for.
#pragma once

#include <compare>
#include <cstdint>

namespace overwinter {

struct HostSize {
  std::uint64_t memory_bytes = 0;  // of a machine, 0: not known; of a job, 0: any
  std::uint32_t cpus = 0;          // threads of its processors; 0: the same
  friend auto operator<=>(const HostSize&, const HostSize&) = default;
};

}  // namespace overwinter
