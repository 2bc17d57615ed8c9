// How many connections each port may have at once, so that together they leave descriptors for the
// store, artifacts, logs and certificates: without those the coordinator serves nobody.
#pragma once

#include <cstddef>

namespace overwinter::app {

struct DescriptorShares {
  std::size_t people = 0;  // two descriptors each: gRPC's and the guard's
  std::size_t workers = 0;
  std::size_t dashboard = 0;
};

// `limit`: descriptors that this process may have. Three quarters of them go to connections, half
// of those to workers; no port gets fewer than 16 connections, nor more than it can use. Pure.
[[nodiscard]] DescriptorShares share_descriptors(std::size_t limit);

// What the kernel lets this process have now.
[[nodiscard]] std::size_t descriptor_limit();

}  // namespace overwinter::app
