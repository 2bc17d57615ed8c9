// One of every fact, with no field left at its default. A fact without a full() here does not
// compile.
#pragma once

#include <utility>
#include <vector>

#include "coordinator/core/fact.h"

namespace overwinter::core::test {

template <class Fact>
struct Tag {};

inline SharedBytes bytes(const char* text) {
  return std::make_shared<const std::string>(text);
}
inline Digest some_digest(std::uint8_t first) {
  Digest out;
  for (std::uint8_t& byte : out.bytes) byte = first++;
  return out;
}
inline Time at(std::int64_t ms) {
  return time_from_unix_ms(1'795'000'000'000 + ms);
}
inline ledger::Charge big_charge(std::int64_t low) {
  return {(ledger::Int128{7} << 70) + low};  // needs more than 64 bits
}
inline SeatKey some_seat() {
  return {JobId(11), 2, 3};
}
inline Demand some_demand() {
  Demand out;
  out.transport = Transport::kGang;
  out.seats_min = 2;
  out.seats_max = 5;
  out.device_kind = "H100";
  out.memory_bytes = 1ULL << 40;
  out.threads = 7;
  out.units = 1000;
  out.units_per_range_max = 12;
  out.landing = Landing::kReport;
  out.stop_time = Duration(1234);
  out.cap = Money{500'000};
  out.time_limit = Duration(99'000);
  out.priority = Priority::kHigh;
  out.spot = SpotUse::kOnly;
  out.predicted_duration = Duration(4321);
  out.predicted_cost = Money{321};
  out.predicted_memory_bytes = 1ULL << 33;
  out.seats_per_worker = 8;
  out.retries = 1;
  out.runs_user_code = true;
  out.stall_timeout = Duration(77'000);
  out.start_timeout = Duration(55'000);
  out.host = {1ULL << 37, 48};
  return out;
}

inline ClusterCreated full(Tag<ClusterCreated>) {
  return {"winter", 0xFEDCBA9876543210ULL};
}
inline ClusterRestored full(Tag<ClusterRestored>) {
  return {{2, 1795946400123ULL, 9, at(1), at(2)}};
}
inline ProjectCreated full(Tag<ProjectCreated>) {
  return {"apollo", 4};
}
inline PriceBookChanged full(Tag<PriceBookChanged>) {
  return {{"EUR", {{at(1), "cpu", "any", true, Money{1890}, Duration(60'000)}}}, "yaml: text", 5};
}
inline TokenCreated full(Tag<TokenCreated>) {
  return {TokenId(6), some_digest(1), Role::kAuditor, "apollo", "ann", at(2), 7};
}
inline TokenRevoked full(Tag<TokenRevoked>) {
  return {TokenId(6), 8};
}
inline JoinFileCreated full(Tag<JoinFileCreated>) {
  return {JoinFileId(9), 3, at(3), "rack 4", {"apollo", "gemini"}, true, 10};
}
inline JoinFileRevoked full(Tag<JoinFileRevoked>) {
  return {JoinFileId(9), 11};
}
inline WorkerRegistered full(Tag<WorkerRegistered>) {
  return {WorkerId(12), JoinFileId(9), "box-2",   {{"site", "here"}, {"a", "b"}},
          {"apollo"},   true,          Money{77}, some_digest(3)};
}
inline WorkerConnected full(Tag<WorkerConnected>) {
  return {WorkerId(12),
          Incarnation(13),
          {"host-1",
           "box.local",
           "0.1.0",
           {{"H100", "EPYC", 1ULL << 35, 16, 12.5, 6.25, "GPU-1", 1ULL << 36, 1ULL << 34, 25.5,
             24.5, 50.5, 1024, 1536}},
           true,
           "10.0.0.7:7610",
           "10.0.0.0/24",
           true,
           "--no-exec",
           "cgroup2",
           {1ULL << 36, 24}}};
}
inline WorkerStateChanged full(Tag<WorkerStateChanged>) {
  return {WorkerId(12), WorkerState::kDraining, "because", 14, true};
}
inline ReportsProcessed full(Tag<ReportsProcessed>) {
  return {WorkerId(12), Incarnation(13), 15};
}
inline JobAccepted full(Tag<JobAccepted>) {
  return {JobId(11),   "apollo",      "fit-ab12c",   "Fit",         {{"team", "nlp"}},
          "request-1", bytes("spec"), some_demand(), bytes("plan"), 16};
}
inline JobDemandChanged full(Tag<JobDemandChanged>) {
  return {JobId(11), some_demand(), bytes("plan 2")};
}
inline JobStateChanged full(Tag<JobStateChanged>) {
  return {JobId(11), JobState::kPaused, Cause::kBudget, 2, "the cap is reached", 17};
}
inline JobUpdated full(Tag<JobUpdated>) {
  return {JobId(11), Money{900}, Priority::kLow, 18};
}
inline UnitsDone full(Tag<UnitsDone>) {
  UnitRanges units({5, 9});
  units.add({20, 1ULL << 50});
  return {JobId(11), units, some_seat()};
}
inline UnitsFailedCounted full(Tag<UnitsFailedCounted>) {
  return {JobId(11), some_seat(), "out of memory"};
}
inline JobForgotten full(Tag<JobForgotten>) {
  return {JobId(11)};
}
inline SeatGranted full(Tag<SeatGranted>) {
  return {some_seat(), WorkerId(12),     Incarnation(13), 1, 1ULL << 34, 8, 500'000,
          Money{1890}, Duration(61'000), big_charge(1)};
}
inline SeatFunded full(Tag<SeatFunded>) {
  return {some_seat(), Duration(122'000), big_charge(2), Money{1990}};
}
inline SeatStopping full(Tag<SeatStopping>) {
  return {some_seat(), Cause::kPreempted};
}
inline SeatReleased full(Tag<SeatReleased>) {
  return {some_seat(),          SeatEnd::kLost,       Duration(60'500), 1ULL << 32,
          "the worker is gone", {3, 9, 1, 120, true}, big_charge(7),    big_charge(8)};
}
inline UsageCharged full(Tag<UsageCharged>) {
  return {some_seat(), at(4), at(5), Duration(1001), Money{1890}, {-big_charge(3).units}};
}
inline MachineCharged full(Tag<MachineCharged>) {
  return {WorkerId(12), at(6), at(7), big_charge(4), big_charge(5), big_charge(6)};
}

inline CheckpointKept full(Tag<CheckpointKept>) {
  return {JobId(11), 2, 150};
}
inline AttemptBroken full(Tag<AttemptBroken>) {
  return {JobId(11), 2, Cause::kWorkerLost};
}
inline AttemptEnded full(Tag<AttemptEnded>) {
  return {
      JobId(11),           2, Cause::kStalled, 3, WorkerId(12), 160, true, {1, 11, 2, 159, true},
      "rank 2 stood still"};
}

template <std::size_t... I>
std::vector<Fact> every_fact_of(std::index_sequence<I...>) {
  return {Fact(full(Tag<std::variant_alternative_t<I, Fact>>{}))...};
}
// In the order of the variant.
inline std::vector<Fact> every_fact() {
  return every_fact_of(std::make_index_sequence<std::variant_size_v<Fact>>{});
}

}  // namespace overwinter::core::test
