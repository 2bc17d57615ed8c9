#include "worker/runtime/gang_members.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "common/security/encoding.h"

namespace overwinter::worker {
namespace {

// Below 65,536, which is all that a container with a user namespace has, and beside the users of
// exec jobs (worker/exec/job_folder.h).
constexpr uid_t kUserFirst = 62'000;
constexpr std::uint64_t kUsers = 2'999;  // a prime: jobs that run together do not meet

std::string address_of(const std::string& peer_address) {
  return peer_address.substr(0, peer_address.rfind(':'));
}

bool is_free(std::uint16_t port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const bool bound =
      ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(probe, 1) == 0;
  ::close(probe);
  return bound;
}

}  // namespace

Result<GangOrder> order_from_members(const std::vector<GangMember>& members, WorkerId worker,
                                     const std::string& network, const std::string& token) {
  const auto bad = [](std::string why) {
    return fail(Code::kInvalidArgument, std::move(why), "members");
  };
  GangOrder order;
  order.worker = worker;
  std::vector<std::string> ids;
  std::optional<std::size_t> self;
  for (const GangMember& member : members) {
    if (ids.empty() || ids.back() != member.host_id) {
      if (std::find(ids.begin(), ids.end(), member.host_id) != ids.end()) {
        return bad("the ranks of the host " + member.host_id + " do not follow each other");
      }
      ids.push_back(member.host_id);
      order.hosts.push_back(
          {address_of(member.peer_address), member.peer_address, member.worker, 0, token});
    }
    ++order.hosts.back().slots;
    if (member.worker == worker) self = order.hosts.size() - 1;
  }
  if (!self) return bad("no member of the gang is this worker's");
  order.self = *self;
  for (const GangMember& member : members) {
    if (member.host_id == ids[*self]) order.owners.push_back(member.worker);
  }
  order.network = network;
  if (order.hosts.size() == 1) {
    order.hosts.front().mpi_address = "127.0.0.1";
    order.network = "127.0.0.0/8";
  }
  order.token_hash = sha256(token);
  return order;
}

std::map<SeatKey, std::uint32_t> ranks_of(const std::vector<GangMember>& members, WorkerId worker) {
  std::map<SeatKey, std::uint32_t> out;
  for (std::uint32_t rank = 0; rank < members.size(); ++rank) {
    if (members[rank].worker == worker) out[members[rank].seat] = rank;
  }
  return out;
}

Result<GangOrder> order_of(const GangKey& key, const LaunchGang& launch, WorkerId worker,
                           const std::string& network) {
  auto order = order_from_members(launch.members, worker, network, launch.token);
  if (!order) return order;
  order->key = key;
  order->uid = gang_user(key);
  order->gid = ::geteuid() == 0 ? order->uid : ::getegid();
  order->oob_port = kMpirunPortFirst;
  if (order->leads()) {
    auto port = free_mpirun_port(key);
    if (!port) return fail(port.error());
    order->oob_port = *port;
  }
  return order;
}

uid_t gang_user(const GangKey& key) {
  if (::geteuid() != 0) return ::geteuid();
  return kUserFirst + static_cast<uid_t>((key.job.value() * 64 + key.attempt) % kUsers);
}

Result<std::uint16_t> free_mpirun_port(const GangKey& key) {
  constexpr std::uint16_t kCount = kMpirunPortLast - kMpirunPortFirst + 1;
  // Other hosts of the gang use the same port: gangs that begin at different ones seldom meet
  // there.
  for (std::uint16_t i = 0; i < kCount; ++i) {
    const auto port =
        static_cast<std::uint16_t>(kMpirunPortFirst + (key.job.value() + key.attempt + i) % kCount);
    if (is_free(port)) return port;
  }
  return fail(Code::kResourceExhausted, "the ports 7800 to 7819 of this machine are all taken");
}

}  // namespace overwinter::worker
