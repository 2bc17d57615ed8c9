// A gang: all its seats or none, one rank (or one program) a seat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/domain/ids.h"

namespace overwinter {

// How far a gang's seat has come, as its worker says.
enum class GangPhase : std::uint8_t {
  kNone = 0,       // no gang's seat
  kPreparing = 1,  // inputs, checkpoint, set-up
  kPrepared = 2,   // waits for the launch
  kLaunched = 3,   // told to start
  kUp = 4,         // its rank is up
};

// What ended a seat of a gang, as far as its worker knows.
struct SeatExit {
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;            // 0: none
  std::optional<std::uint32_t> rank;  // that failed first on this seat
  std::uint64_t step = 0;             // the last that it told of
  bool repeats = false;  // the next attempt would end the same way (a loss that is NaN)
  friend bool operator==(const SeatExit&, const SeatExit&) = default;
};

// One seat in the order of ranks: the ranks of a host follow each other.
struct GangMember {
  SeatKey seat;
  WorkerId worker;
  std::string worker_name;
  std::string host_id;
  std::string peer_address;
  DeviceIndex device = 0;
  friend bool operator==(const GangMember&, const GangMember&) = default;
};

}  // namespace overwinter
