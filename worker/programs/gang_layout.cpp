#include "worker/programs/gang_layout.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace overwinter::worker {

Result<exec::GangLayout> layout_of(const std::vector<GangMember>& members, WorkerId worker,
                                   const GangKey& key, const std::string& address) {
  exec::GangLayout layout;
  std::vector<WorkerId> workers;
  for (const GangMember& member : members) {
    auto at = std::find(workers.begin(), workers.end(), member.worker);
    if (at == workers.end()) {
      at = workers.insert(workers.end(), member.worker);
      layout.devices.push_back(0);
    }
    ++layout.devices[static_cast<std::size_t>(at - workers.begin())];
  }
  const auto self = std::find(workers.begin(), workers.end(), worker);
  if (self == workers.end())
    return fail(Code::kInvalidArgument, "no member of the gang is this worker's", "members");
  layout.worker = static_cast<std::uint32_t>(self - workers.begin());
  const bool one_host = std::all_of(members.begin(), members.end(), [&](const GangMember& m) {
    return m.host_id == members.front().host_id;
  });
  const std::string& first = members.front().peer_address;
  layout.master_address = one_host ? "127.0.0.1" : first.substr(0, first.rfind(':'));
  layout.interface = interface_of(one_host ? "127.0.0.1" : address);
  layout.master_port = static_cast<std::uint16_t>(
      kMasterPortFirst + (key.job.value() * 64 + key.attempt) % kMasterPorts);
  return layout;
}

std::string interface_of(const std::string& address) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return "";
  std::string name;
  for (const ifaddrs* one = all; one != nullptr && name.empty(); one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* ip = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    ::inet_ntop(AF_INET, &ip->sin_addr, text.data(), text.size());
    if (address == text.data()) name = one->ifa_name;
  }
  ::freeifaddrs(all);
  return name;
}

}  // namespace overwinter::worker
