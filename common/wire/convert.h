// Small values ↔ protobuf. to_proto() is total; from_proto() refuses what makes no sense.
// Thread-safe.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/repeated_ptr_field.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "common/base/money.h"
#include "common/base/time.h"
#include "common/domain/device.h"
#include "common/domain/ids.h"
#include "common/domain/unit_ranges.h"
#include "overwinter/v1/common.pb.h"

namespace overwinter::wire {

// The most ranges of units that one message may carry.
inline constexpr int kUnitRangesMax = 100'000;
inline constexpr int kDevicesMax = 64;

[[nodiscard]] v1::Money to_proto(Money amount, const std::string& currency);
// Not negative.
[[nodiscard]] Result<Money> from_proto(const v1::Money& amount);

[[nodiscard]] google::protobuf::Timestamp to_proto(Time time);
[[nodiscard]] Time from_proto(const google::protobuf::Timestamp& time);

[[nodiscard]] google::protobuf::Duration to_proto(Duration duration);
// Whole milliseconds, rounded down; within ten thousand years.
[[nodiscard]] Result<Duration> from_proto(const google::protobuf::Duration& duration);

[[nodiscard]] v1::SeatKey to_proto(const SeatKey& seat);
// job, attempt and number are all at least 1.
[[nodiscard]] Result<SeatKey> from_proto(const v1::SeatKey& seat);

void to_proto(const UnitRanges& units, google::protobuf::RepeatedPtrField<v1::UnitRange>* out);
// At most kUnitRangesMax ranges, each begin < end.
[[nodiscard]] Result<UnitRanges> from_proto(
    const google::protobuf::RepeatedPtrField<v1::UnitRange>& units);

[[nodiscard]] v1::Device to_proto(const DeviceInfo& device);
// A kind of 1 to 63 characters, memory and threads above zero, finite speeds.
[[nodiscard]] Result<DeviceInfo> from_proto(const v1::Device& device);

}  // namespace overwinter::wire
