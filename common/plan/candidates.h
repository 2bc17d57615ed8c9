// Which devices a job could use, and why the others not. Internal to the room.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/domain/demand.h"
#include "common/plan/cluster_offer.h"
#include "common/plan/matmul_geometry.h"
#include "common/plan/tile_choice.h"

namespace overwinter::v1 {
class RuledOut;
}

namespace overwinter::plan {

struct Candidate {
  std::string name;        // "worker-1", or "worker-1 device 2" when the worker has several
  std::size_t worker = 0;  // its place in the offer
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 1;
  double flops_per_second = 0;
  double bytes_per_second = 0;
  Money price_per_hour;
  bool gpu = false;
  bool widens = false;              // it has no instructions for the precision: fp32's speed
  bool measured = false;            // it told its speed in the precision itself
  std::uint64_t strassen_side = 0;  // in the filter's precision
};

struct CandidateFilter {
  std::string device = "any";
  SpotUse spot = SpotUse::kAllowed;
  Precision precision = Precision::kFp32;
  bool runs_user_code = false;  // on any kind of device, but not on every worker
  HostSize host = {};           // that its machine has at least
};

struct Candidates {
  std::vector<Candidate> devices;  // available, fastest first, ties by name
  std::vector<Candidate> away;     // suitable, of workers that may return; the same order
  std::vector<v1::RuledOut> ruled_out;
};

[[nodiscard]] Candidates find_candidates(const ClusterOffer& offer, const CandidateFilter& filter);

// The first `count` devices as one model.
[[nodiscard]] SeatModel seat_model(const std::vector<Candidate>& devices, std::size_t count);

}  // namespace overwinter::plan
