// Tiles in the artifact store: written, synced in groups, landed. What was not synced is lost in a
// crash.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/gang_model.h"
#include "tests/simulation/invariants.h"

namespace overwinter::simulation {

class ArtifactModel final : public Truth {
 public:
  explicit ArtifactModel(const GangModel& gangs) : gangs_(gangs) {}

  using Tile = std::pair<JobId, UnitNumber>;

  void write(JobId job, UnitNumber unit) { unsynced_.insert({job, unit}); }
  // Everything written before is durable now.
  void sync() {
    durable_.insert(unsynced_.begin(), unsynced_.end());
    unsynced_.clear();
  }
  void crash() { unsynced_.clear(); }
  // A unit of a workload without a result, reported done by its worker.
  void report(JobId job, const UnitRanges& units) { reported_[job].add(units); }

  [[nodiscard]] bool landed(JobId job, UnitNumber unit) const override {
    if (durable_.count({job, unit}) > 0) return true;
    const auto found = reported_.find(job);
    return found != reported_.end() && found->second.contains(unit);
  }

  [[nodiscard]] bool gang_completed(JobId job) const override { return gangs_.completed(job); }
  [[nodiscard]] std::uint64_t checkpoint(JobId job) const override {
    return gangs_.checkpoint(job);
  }
  [[nodiscard]] std::int64_t gang_active_at_ms(JobId job) const override {
    return gangs_.active_at(job);
  }

 private:
  const GangModel& gangs_;
  std::set<Tile> unsynced_;
  std::set<Tile> durable_;
  std::map<JobId, UnitRanges> reported_;
};

}  // namespace overwinter::simulation
