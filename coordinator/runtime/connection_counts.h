// What became of the connections of a port since the start, for metrics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace overwinter::runtime {

struct ConnectionCounts {
  std::uint64_t accepted = 0;
  std::uint64_t full = 0;        // closed at once: too many in all
  std::uint64_t of_address = 0;  // closed at once: too many of that address
  std::uint64_t displaced = 0;   // ended: one of an address with fewer came to a full port
  std::uint64_t late = 0;        // ended: showed nobody, or asked nothing, for too long
  std::uint64_t greedy = 0;      // ended: sent too much before that
  std::size_t open = 0;          // now
};

}  // namespace overwinter::runtime
