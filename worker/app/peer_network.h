// Which of this machine's addresses other workers of a gang reach it by.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker {

struct PeerNetwork {
  std::string address;  // IPv4
  std::string network;  // ADDRESS/BITS; empty: loopback, for gangs of this host alone
};

// `wish`: an address or an interface of this machine; empty or "auto": the address by which the
// first coordinator that can be named is reached, loopback only when there is no other.
// INVALID_ARGUMENT: this machine has none such.
[[nodiscard]] Result<PeerNetwork> peer_network(std::string_view wish,
                                               const std::vector<std::string>& coordinators);

}  // namespace overwinter::worker
