// Which workers a gang would be made of, by the rule by which the core places one
// (coordinator/policy/gang_placement.h): all on one host or on one network, each with so many
// devices that hold a seat; the most workers, then the fewest GPUs, then the cheapest. Internal to
// the room.
#pragma once

#include <cstdint>
#include <vector>

#include "common/plan/candidates.h"
#include "common/plan/cluster_offer.h"

namespace overwinter::plan {

// The first `workers` of one group together.
struct GangModel {
  std::size_t workers = 0;
  double flops_per_second = 0;  // of the slowest device
  double bytes_per_second = 0;  // of the slowest link
  std::size_t gpus = 0;
  double price_per_hour = 0;
  bool one_host = true;
  std::uint64_t memory_bytes = 0;  // of the smallest device
};

// Groups of workers for seats of one size.
class GangGroups {
 public:
  // Devices of at least `memory_bytes`, `per_worker` (at least 1) of each worker.
  GangGroups(const ClusterOffer& offer, const std::vector<Candidate>& devices,
             std::uint64_t memory_bytes, std::uint32_t per_worker);

  // Workers of the largest group; 0: no worker holds its part.
  [[nodiscard]] std::size_t largest() const;
  // The gang of so many workers, 1 to largest(): that of the best group.
  [[nodiscard]] GangModel of(std::size_t workers) const;
  // The least `memory_bytes` of a device in a group of `workers` or more; 0: there is none.
  [[nodiscard]] std::uint64_t smallest_device(std::size_t workers) const;

 private:
  struct Group {
    std::vector<GangModel> first;  // [n - 1]: its first n workers
  };
  std::vector<Group> groups_;
};

}  // namespace overwinter::plan
