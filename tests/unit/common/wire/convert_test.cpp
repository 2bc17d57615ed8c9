#include "common/wire/convert.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/wire/status_grpc.h"

namespace overwinter::wire {
namespace {

TEST(Convert, TimesKeepMillisecondsOnBothSidesOf1970) {
  for (const std::int64_t ms : {0LL, 1LL, 999LL, 1000LL, 1795602845123LL, -1LL, -1500LL}) {
    const Time time = time_from_unix_ms(ms);
    const auto proto = to_proto(time);
    EXPECT_GE(proto.nanos(), 0);
    EXPECT_EQ(from_proto(proto), time) << ms;
  }
}

TEST(Convert, DurationsOutsideTheirRangeAreRefused) {
  google::protobuf::Duration duration;
  duration.set_seconds(2);
  duration.set_nanos(5'999'999);
  EXPECT_EQ(from_proto(duration).value(), Duration(2005));
  duration.set_seconds(-1);
  EXPECT_FALSE(from_proto(duration));
  duration.set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_FALSE(from_proto(duration));
  duration.set_seconds(0);
  duration.set_nanos(-5);
  EXPECT_FALSE(from_proto(duration));
}

TEST(Convert, RangesRoundTripAndEmptyOnesAreRefused) {
  UnitRanges units;
  units.add({3, 9});
  units.add({12, 13});
  google::protobuf::RepeatedPtrField<v1::UnitRange> proto;
  to_proto(units, &proto);
  EXPECT_EQ(from_proto(proto).value(), units);
  auto* bad = proto.Add();
  bad->set_begin(5);
  bad->set_end(5);
  EXPECT_FALSE(from_proto(proto));
}

TEST(Convert, SeatsAndDevicesAreChecked) {
  const SeatKey seat{JobId(7), 2, 9};
  EXPECT_EQ(from_proto(to_proto(seat)).value(), seat);
  EXPECT_FALSE(from_proto(v1::SeatKey()));
  DeviceInfo device;
  device.kind = "cpu";
  device.memory_bytes = 1;
  device.threads = 1;
  device.gflops_fp32 = 1.5;
  EXPECT_EQ(from_proto(to_proto(device)).value(), device);
  device.gflops_fp32 = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(from_proto(to_proto(device)));
}

TEST(StatusGrpc, FieldHintAndRetryTravel) {
  const Status status = error(Code::kInvalidArgument, "a sentence", "workers.max", "write 2");
  const grpc::Status wire = to_grpc(status, Duration(1500));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(from_grpc(wire), status);
  EXPECT_EQ(retry_after(wire), Duration(1500));
  EXPECT_TRUE(from_grpc(grpc::Status::OK).ok());
}

TEST(StatusGrpc, ForeignStatusesAndLongOnesDoNotBreak) {
  const Status foreign = from_grpc({grpc::StatusCode::UNAVAILABLE, "gone", "\xff not a message"});
  EXPECT_EQ(foreign.code, Code::kUnavailable);
  EXPECT_EQ(foreign.message, "gone");
  EXPECT_TRUE(foreign.field.empty());
  const grpc::Status bounded = to_grpc(error(Code::kInternal, std::string(100'000, 'x')));
  EXPECT_LT(bounded.error_details().size() + bounded.error_message().size(), 8192U);
}

}  // namespace
}  // namespace overwinter::wire
