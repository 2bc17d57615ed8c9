// What the audit keeps beside the facts: calls that were refused, and decisions that are no facts
// (secrets, logins). Its texts are ours or bounded and checked by who makes one; no secret is among
// them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::telemetry {

// Where a call came in.
enum class Door : std::uint8_t { kPeople = 0, kWorkers = 1, kDashboard = 2 };
inline constexpr std::size_t kDoors = 3;
[[nodiscard]] constexpr std::string_view door_name(Door door) {
  constexpr std::array<std::string_view, kDoors> kNames{"people", "workers", "dashboard"};
  return kNames.at(static_cast<std::size_t>(door));
}

struct AuditEvent {
  Time time{};
  Door door = Door::kPeople;
  Code code = Code::kOk;  // kOk: a decision; else what it was refused with
  std::string project = {};
  std::string actor = {};       // "tokens/7", "workers/w-1", "join_files/3"; empty: no credential
  std::string actor_name = {};  // of a token: whom it is for
  std::string role = {};
  std::string action = {};  // "secret.set"; of a refusal what was called: "JobService/GetJob"
  std::string object = {};
  std::string before = {};
  std::string after = {};
  std::string reason = {};
  std::string address = {};    // of whom was refused, without its port; empty: not known
  std::uint32_t repeated = 0;  // of the same address and actor, told of by this one
  friend bool operator==(const AuditEvent&, const AuditEvent&) = default;
};

}  // namespace overwinter::telemetry
