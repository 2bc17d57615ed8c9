// From the coordinator's list of a gang's members to what its processes are told of it.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/gang.h"
#include "worker/exec/launch_environment.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

// Ports of MASTER_PORT: one an attempt, below those that a kernel gives out by itself.
inline constexpr std::uint16_t kMasterPortFirst = 29'000;
inline constexpr std::uint16_t kMasterPorts = 1'000;

// Workers in the order in which their first rank comes. `address`: of this machine, for the name of
// its interface; a gang of one host uses loopback. `threads` and GPUs are left open.
// INVALID_ARGUMENT: no member is this worker's.
[[nodiscard]] Result<exec::GangLayout> layout_of(const std::vector<GangMember>& members,
                                                 WorkerId worker, const GangKey& key,
                                                 const std::string& address);

// The interface of this machine that has the address; empty: none.
[[nodiscard]] std::string interface_of(const std::string& address);

}  // namespace overwinter::worker
