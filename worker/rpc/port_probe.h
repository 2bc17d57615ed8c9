// Whether TCP ports of another machine can be reached: a connection is begun and, if it is
// accepted, closed without a byte. Says nothing of who listens.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::worker {

enum class PortAnswer : std::uint8_t {
  kAccepted = 1,
  kClosed = 2,    // that machine says that nothing listens: nothing was in the way
  kRejected = 3,  // a firewall or a router says no. One that forges the machine's own no is kClosed
  kSilent = 4,
};

// All ports at once; blocks at most `within`. After a stop, what is not known yet is silent.
// INVALID_ARGUMENT: no IPv4 address.
[[nodiscard]] Result<std::vector<PortAnswer>> try_ports(const std::string& address,
                                                        std::span<const std::uint16_t> ports,
                                                        Duration within,
                                                        const std::stop_token& stop = {});

}  // namespace overwinter::worker
