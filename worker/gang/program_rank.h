// A rank that is the user's own program: this process stands between Open MPI and the program, so
// that the daemon hears of it as of every rank, and holds it to its confinement and memory
// (worker/exec).
#pragma once

#include <map>
#include <string>

#include "worker/gang/rank_port.h"

namespace overwinter::worker {

// Runs the program of the port's task to its end, tells how that was, and returns the exit code
// for Open MPI: that of the program, 1 where a signal ended it. Lines go to this process's own
// output.
int run_program_rank(SocketRankPort& port);

// What Open MPI told this process, for the program: OMPI_*, PMIX_*, OPAL_*, ORTE_*.
[[nodiscard]] std::map<std::string, std::string> open_mpi_variables(char* const* environment);

}  // namespace overwinter::worker
