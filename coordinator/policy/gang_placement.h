// Which workers form a gang: all its seats at once or none (ARCHITECTURE §1). Pure.
#pragma once

#include <string>
#include <vector>

#include "coordinator/policy/placement.h"

namespace overwinter::policy {

struct GangChoice {
  // In the order of ranks: the seats of a host, and of a worker, follow each other. Empty: no gang.
  std::vector<Score> seats;
  std::size_t workers = 0;      // of the choice; of the largest that could be formed when empty
  std::size_t workers_fit = 0;  // that could hold their part of it, on any network
};

// A worker that gangs of other projects are on.
struct TakenWorker {
  WorkerId worker;
  std::string_view network;  // empty: none but its own host
  bool shared_network = false;
};
// Says of each candidate what those take of it: the worker itself, and its network unless all there
// share it.
void mark_taken(const std::vector<TakenWorker>& taken, std::vector<Candidate>& candidates);

// `candidates`: devices, of any workers. A gang is formed of workers on one host or on one network,
// each with seats_per_worker devices that can hold a seat, and no two hosts with one address (Open
// MPI tells hosts by it; containers that use their machine's network have its address): the most
// workers up to seats_max, then those on the fewest GPUs, then the cheapest. Deterministic.
[[nodiscard]] GangChoice choose_gang(const Want& want, const std::vector<Candidate>& candidates);

}  // namespace overwinter::policy
