// From the coordinator's list of a gang's members to what Open MPI needs: hosts, slots, owners.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/result.h"
#include "common/domain/gang.h"
#include "worker/core/input.h"
#include "worker/runtime/gang_order.h"

namespace overwinter::worker {

inline constexpr std::uint16_t kMpirunPortFirst = 7800;  // one a gang
inline constexpr std::uint16_t kMpirunPortLast = 7819;

// The order without its tasks, ports and user: hosts in the order in which their first rank comes,
// all ranks of a host side by side. `network` is that of this machine's peer address; a gang of one
// host uses loopback. INVALID_ARGUMENT: no member is this worker's, or the ranks of a host do not
// follow each other.
[[nodiscard]] Result<GangOrder> order_from_members(const std::vector<GangMember>& members,
                                                   WorkerId worker, const std::string& network,
                                                   const std::string& token);

// Rank by seat, of this worker's seats.
[[nodiscard]] std::map<SeatKey, std::uint32_t> ranks_of(const std::vector<GangMember>& members,
                                                        WorkerId worker);

// That order with its key, its user and a free port of mpirun; what is left are its tasks.
[[nodiscard]] Result<GangOrder> order_of(const GangKey& key, const LaunchGang& launch,
                                         WorkerId worker, const std::string& network);

// What a gang runs as: a user of its own where this process is root, else this process's own.
[[nodiscard]] uid_t gang_user(const GangKey& key);

// A port of mpirun that nobody listens at here. RESOURCE_EXHAUSTED when all are taken.
[[nodiscard]] Result<std::uint16_t> free_mpirun_port(const GangKey& key);

}  // namespace overwinter::worker
