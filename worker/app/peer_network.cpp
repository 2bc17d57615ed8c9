#include "worker/app/peer_network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <memory>
#include <optional>

namespace overwinter::worker {
namespace {

std::string text_of(in_addr address) {
  char text[INET_ADDRSTRLEN] = {};
  return ::inet_ntop(AF_INET, &address, text, sizeof text) == nullptr ? "" : text;
}

// The local address of a route, found without sending anything.
std::optional<std::string> way_to(const std::string& coordinator) {
  const std::size_t colon = coordinator.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(coordinator.substr(0, colon).c_str(), coordinator.substr(colon + 1).c_str(),
                    &hints, &found) != 0) {
    return std::nullopt;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return std::nullopt;
  sockaddr_in own{};
  socklen_t size = sizeof own;
  const bool known = ::connect(probe, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(probe, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  ::close(probe);
  if (!known) return std::nullopt;
  return text_of(own.sin_addr);
}

// By address or by the interface's name.
std::optional<PeerNetwork> of_interface(std::string_view wish) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    const in_addr address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
    PeerNetwork out{text_of(address), {}};
    if (out.address != wish && std::string_view(one->ifa_name) != wish) continue;
    if ((ntohl(address.s_addr) >> 24) == 127 || one->ifa_netmask == nullptr) return out;
    const in_addr mask = reinterpret_cast<const sockaddr_in*>(one->ifa_netmask)->sin_addr;
    out.network =
        text_of({address.s_addr & mask.s_addr}) + "/" + std::to_string(std::popcount(mask.s_addr));
    return out;
  }
  return std::nullopt;
}

}  // namespace

Result<PeerNetwork> peer_network(std::string_view wish,
                                 const std::vector<std::string>& coordinators) {
  if (!wish.empty() && wish != "auto") {
    if (auto found = of_interface(wish)) return *found;
    return fail(Code::kInvalidArgument,
                "this machine has no IPv4 address or interface " + std::string(wish),
                "peer-address", "`ip -4 address` lists them");
  }
  // Loopback only where nothing else leads to one: `localhost` may stand first for people on its
  // own machine.
  PeerNetwork best;
  for (const std::string& coordinator : coordinators) {
    const auto address = way_to(coordinator);
    if (!address) continue;
    const auto found = of_interface(*address);
    if (!found) continue;
    if (!found->network.empty()) return *found;
    if (best.address.empty()) best = *found;
  }
  return best;
}

}  // namespace overwinter::worker
