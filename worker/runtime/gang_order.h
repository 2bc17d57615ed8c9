// What a daemon is told of a gang that it runs a part of, and the commands that follow from it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "overwinter/v1/local.pb.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

// Where ranks hear each other (INTERFACE §1).
inline constexpr std::uint16_t kMpiPortFirst = 7620;
inline constexpr std::uint16_t kMpiPorts = 180;

// One host of a gang: several workers of one machine are one host, and one of their daemons starts
// all its ranks (Open MPI takes equal addresses for one host, FACTS §1).
struct GangHost {
  std::string mpi_address;   // IPv4, in the gang's network
  std::string peer_address;  // ADDRESS:PORT of the daemon that starts its ranks
  WorkerId worker;           // of that daemon
  std::uint32_t slots = 1;   // ranks
  std::string token;         // of its launch; only the first host is told, of all others
};

struct GangDeadlines {
  Duration start{30'000};  // until all ranks of this host hear all others
  Duration life{10'000};   // without a sign of life a rank counts as frozen
  Duration progress{
      1'800'000};   // without a step, a checkpoint or a new phase the gang counts as stalled
  Duration run{0};  // mpirun's own limit, a last resort; 0: none
};

struct GangOrder {
  GangKey key;
  std::vector<GangHost> hosts;  // ranks are numbered along them; the first runs mpirun
  std::size_t self = 0;
  // Several workers of one machine are one host: the daemon of hosts[self].worker starts all its
  // ranks, and each rank speaks to the daemon that holds its seat. `owners` are those daemons, rank
  // by rank; empty: all ranks of the host are this daemon's.
  WorkerId worker;  // of this daemon
  std::vector<WorkerId> owners;
  std::string network;         // ADDRESS/BITS, in which the ranks hear each other
  std::uint16_t oob_port = 0;  // of this mpirun alone, on all of its hosts
  uid_t uid = 0;               // what it runs as; this process's own: nothing changes
  gid_t gid = 0;
  std::vector<v1::RankTask> tasks;  // of this daemon's ranks, in their order
  bool programs = false;            // the ranks are programs of the user's
  GangDeadlines deadlines;
  // Not the first host: which launch to expect. One, once, from the first host's daemon.
  Digest token_hash;
  Duration launch_within{60'000};

  [[nodiscard]] std::uint32_t ranks() const;
  [[nodiscard]] std::uint32_t first_rank(std::size_t host) const;
  // This daemon starts the ranks of its host.
  [[nodiscard]] bool starts() const { return owners.empty() || hosts[self].worker == worker; }
  // It runs mpirun.
  [[nodiscard]] bool leads() const { return self == 0 && starts(); }
  // Ranks of this daemon's seats.
  [[nodiscard]] std::vector<std::uint32_t> own_ranks() const;
};

inline constexpr std::size_t kGangRanksMax = 1024;

// INVALID_ARGUMENT for what Open MPI would do something else with: the same address twice, one that
// is no IPv4 address, another host's that is this machine's own, a network that is none, no rank.
Status check_order(const GangOrder& order);

struct GangPrograms {
  std::filesystem::path bundle;  // worker/exec/bundled_mpi.h; empty: Open MPI is the machine's
  std::filesystem::path mpirun = "/usr/bin/mpirun";
  std::filesystem::path orted = "/usr/bin/orted";
  std::filesystem::path agent;         // overwinter-launch-agent
  std::filesystem::path rank;          // overwinter-rank
  std::filesystem::path program_rank;  // overwinter-program-rank
};

// The command line of FACTS §1.
[[nodiscard]] std::vector<std::string> mpirun_command(const GangOrder& order,
                                                      const GangPrograms& programs);
// What Open MPI asked its agent for, as it is run: the program is ours, `--daemonize` is dropped,
// and nothing but settings (-mca NAME VALUE) is let through. PERMISSION_DENIED names the word.
[[nodiscard]] Result<std::vector<std::string>> orted_command(std::span<const std::string> words,
                                                             const GangPrograms& programs);
// The whole environment of mpirun or orted, and so of the ranks: nothing of the daemon's.
[[nodiscard]] std::vector<std::string> gang_environment(const std::filesystem::path& job_folder,
                                                        const std::filesystem::path& socket,
                                                        const std::filesystem::path& bundle);
// The variable that tells rank `rank` another socket than OVERWINTER_GANG_SOCKET.
[[nodiscard]] std::string rank_socket_variable(std::uint32_t rank);

}  // namespace overwinter::worker
