// What a specification says beside its workload, and what every plan has in common. Internal to the
// room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/plan/job_planner.h"

namespace overwinter::plan {

inline constexpr std::size_t kAlternativesMax = 8;
// Seats of one job when `workers` names no maximum.
inline constexpr std::uint32_t kSeatsMax = 1024;

struct Limits {
  Transport transport = Transport::kElastic;
  std::uint32_t workers_min = 1;
  std::uint32_t workers_max = 0;   // 0: all that fit
  std::string device = "any";      // the kind
  std::uint32_t per_worker = 1;    // devices of it on each worker
  std::uint64_t memory_bytes = 0;  // 0: as predicted
  std::optional<Money> cap;
  std::optional<Duration> deadline;
  std::optional<Duration> time_limit;
  Priority priority = Priority::kNormal;
  SpotUse spot = SpotUse::kAllowed;
  HostSize host = {};
};

// INVALID_ARGUMENT with the field: a transport that such a workload does not run over, a device
// that is no KIND or KIND:COUNT, several devices a worker for an elastic job.
[[nodiscard]] Result<Limits> limits_of(const v1::JobSpec& spec);

// What follows from the specification alone; seats_min counts seats.
[[nodiscard]] Demand base_demand(const v1::JobSpec& spec, const Limits& limits);

// Duration, cost and transport into demand and plan, and what they say about cap, deadline and
// workers. demand's seats and plan's memory are set. `known`: workers that fit, of which
// demand.seats_min / seats_per_worker are needed.
void set_prediction(const Limits& limits, double seconds, double price_per_hour, std::size_t known,
                    const std::string& currency, Alternative& out);

// With a deadline, what meets it first, the cheapest of it first; else the fastest first. Keeps
// kAlternativesMax.
void rank_alternatives(const Limits& limits, std::vector<Alternative>& all);

void rule_out(std::string what, std::string why_not, std::vector<v1::RuledOut>& out);

[[nodiscard]] Duration duration_of(const google::protobuf::Duration& d);
[[nodiscard]] std::string seconds_text(double seconds);
// Up to whole MiB; saturates.
[[nodiscard]] std::uint64_t whole_mib(std::uint64_t bytes);

}  // namespace overwinter::plan
