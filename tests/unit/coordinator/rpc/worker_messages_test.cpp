#include "coordinator/rpc/worker_messages.h"

#include <gtest/gtest.h>

namespace overwinter::rpc {
namespace {

v1::Hello a_hello() {
  v1::Hello hello;
  hello.set_incarnation(3);
  hello.set_version("0.1.0");
  hello.set_host_id("abc");
  auto& device = *hello.add_devices();
  device.set_kind("cpu");
  device.set_memory_bytes(1024);
  device.set_threads(1);
  return hello;
}

TEST(WorkerMessagesTest, VersionsOneMinorApartWorkTogether) {
  EXPECT_TRUE(check_version("0.1.0").ok());
  EXPECT_TRUE(check_version("0.0.9").ok());
  EXPECT_TRUE(check_version("0.2.7").ok());
  const Status apart = check_version("0.3.0");
  EXPECT_EQ(apart.code, Code::kFailedPrecondition);
  EXPECT_NE(apart.message.find("0.3.0"), std::string::npos);
  EXPECT_NE(apart.message.find("0.1.0"), std::string::npos);
  EXPECT_EQ(check_version("1.1.0").code, Code::kFailedPrecondition);
  for (const char* text : {"", "1", "x.y", "0.", "-"}) {
    EXPECT_EQ(check_version(text).code, Code::kInvalidArgument) << text;
  }
}

TEST(WorkerMessagesTest, OneMachineIsKnownByItsHost) {
  EXPECT_TRUE(hello_event(WorkerId(1), a_hello(), "abc")->machine.same_host_as_coordinator);
  EXPECT_FALSE(hello_event(WorkerId(1), a_hello(), "other")->machine.same_host_as_coordinator);
  v1::Hello silent = a_hello();
  silent.set_host_id("");
  EXPECT_FALSE(hello_event(WorkerId(1), silent, "")->machine.same_host_as_coordinator);
}

TEST(WorkerMessagesTest, NonsenseIsRefused) {
  v1::Hello hello = a_hello();
  hello.set_incarnation(0);
  EXPECT_FALSE(hello_event(WorkerId(1), hello, "abc").has_value());
  hello = a_hello();
  hello.clear_devices();
  EXPECT_FALSE(hello_event(WorkerId(1), hello, "abc").has_value());

  const Speaker speaker{WorkerId(1), Incarnation(3)};
  v1::WorkerMessage message;
  EXPECT_FALSE(event_of(speaker, message).has_value()) << "empty";
  message.mutable_report()->set_number(1);
  EXPECT_FALSE(event_of(speaker, message).has_value()) << "a report of nothing";
  message.mutable_report()->mutable_seat_ended()->mutable_seat()->set_job(1);
  EXPECT_FALSE(event_of(speaker, message).has_value()) << "half a seat";
}

TEST(WorkerMessagesTest, AHeartbeatSaysWhatASeatHolds) {
  v1::WorkerMessage message;
  v1::SeatStatus& seat = *message.mutable_heartbeat()->add_seats();
  seat.mutable_seat()->set_job(4);
  seat.mutable_seat()->set_attempt(1);
  seat.mutable_seat()->set_number(2);
  seat.set_memory_peak_bytes(9);
  seat.set_memory_used_bytes(7);
  const auto event = event_of({WorkerId(1), Incarnation(3)}, message);
  ASSERT_TRUE(event.has_value());
  const auto& beat = std::get<core::WorkerHeartbeat>(*event);
  ASSERT_EQ(beat.seats.size(), 1U);
  EXPECT_EQ(beat.seats[0].memory_peak_bytes, 9U);
  EXPECT_EQ(beat.seats[0].memory_used_bytes, 7U);
}

TEST(WorkerMessagesTest, AReportComesThroughWithWhoSaidIt) {
  v1::WorkerMessage message;
  message.mutable_report()->set_number(9);
  auto& units = *message.mutable_report()->mutable_units_failed();
  units.mutable_seat()->set_job(4);
  units.mutable_seat()->set_attempt(1);
  units.mutable_seat()->set_number(2);
  units.add_units()->set_end(5);
  units.set_message("no");
  const auto event = event_of({WorkerId(1), Incarnation(3)}, message);
  ASSERT_TRUE(event.has_value());
  const auto& reported = std::get<core::WorkerReported>(*event);
  EXPECT_EQ(reported.worker, WorkerId(1));
  EXPECT_EQ(reported.incarnation, Incarnation(3));
  EXPECT_EQ(reported.number, 9U);
  const auto& failed = std::get<core::UnitsFailed>(reported.report);
  EXPECT_EQ(failed.seat, (SeatKey{JobId(4), 1, 2}));
  EXPECT_EQ(failed.units, UnitRanges(UnitRange{0, 5}));
  EXPECT_EQ(failed.message, "no");
}

}  // namespace
}  // namespace overwinter::rpc
