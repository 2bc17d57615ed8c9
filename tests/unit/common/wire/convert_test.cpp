#include "common/wire/convert.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/wire/status_grpc.h"
#include "common/wire/unknown_fields.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "overwinter/v1/job.pb.h"

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
  device.strassen_fp32_side = 1024;
  device.strassen_fp64_side = 768;
  EXPECT_EQ(from_proto(to_proto(device)).value(), device);
  device.kind = "H100";
  device.uuid = "GPU-1";
  device.memory_total_bytes = 3;
  device.host_memory_bytes = 4;
  device.gflops_bf16 = 5;
  device.gflops_fp16 = 6;
  device.gflops_int8 = 7;
  EXPECT_EQ(from_proto(to_proto(device)).value(), device);
  device.uuid = std::string(257, 'x');
  EXPECT_EQ(from_proto(to_proto(device)).error().field, "device.uuid");
  device.uuid.clear();
  for (double DeviceInfo::*speed : {&DeviceInfo::gflops_fp32, &DeviceInfo::gflops_int8}) {
    DeviceInfo wrong = device;
    wrong.*speed = std::numeric_limits<double>::infinity();
    EXPECT_FALSE(from_proto(to_proto(wrong)));
    wrong.*speed = -1;
    EXPECT_FALSE(from_proto(to_proto(wrong)));
  }
}

TEST(StatusGrpc, FieldHintAndRetryTravel) {
  const Status status = error(Code::kInvalidArgument, "a sentence", "workers.max", "write 2");
  const grpc::Status wire = to_grpc(status, Duration(1500));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(from_grpc(wire), status);
  EXPECT_EQ(retry_after(wire), Duration(1500));
  EXPECT_TRUE(from_grpc(grpc::Status::OK).ok());
}

google::rpc::Status details_of(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

template <class Detail>
std::optional<Detail> detail(const grpc::Status& status) {
  Detail out;
  const google::rpc::Status details = details_of(status);
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&out)) return out;
  }
  return std::nullopt;
}

TEST(StatusGrpc, EveryErrorSaysItsReasonAndWhatItIsAbout) {
  const grpc::Status status = to_grpc(error(Code::kNotFound, "there is no job j", "name"),
                                      std::nullopt, "projects/p/jobs/j");
  const auto info = detail<google::rpc::ErrorInfo>(status);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->reason(), "NOT_FOUND");
  EXPECT_EQ(info->domain(), "overwinter");
  EXPECT_EQ(info->metadata().at("field"), "name");
  const auto resource = detail<google::rpc::ResourceInfo>(status);
  ASSERT_TRUE(resource);
  EXPECT_EQ(resource->resource_type(), "overwinter.v1/Job");
  EXPECT_EQ(resource->resource_name(), "projects/p/jobs/j");
  const auto request = detail<google::rpc::BadRequest>(status);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->field_violations(0).field(), "name");
  EXPECT_FALSE(detail<google::rpc::ResourceInfo>(
      to_grpc(error(Code::kUnavailable, "x"), std::nullopt, "projects/p/jobs/j")));
}

TEST(UnknownFields, OnesBelowAreFoundToo) {
  // What a newer client would send: the same message with one field more.
  const auto with_unknown = [](auto& message, int number) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(number, 1);
  };
  v1::SubmitJobRequest request;
  request.mutable_spec()->mutable_matmul()->set_a("a");
  (*request.mutable_spec()->mutable_labels())["team"] = "nlp";
  EXPECT_TRUE(refuse_unknown_fields(request).ok());
  with_unknown(*request.mutable_spec()->mutable_workers(), 900);
  v1::SubmitJobRequest read;
  ASSERT_TRUE(read.ParseFromString(request.SerializeAsString()));
  const Status below = refuse_unknown_fields(read);
  EXPECT_EQ(below.code, Code::kInvalidArgument);
  EXPECT_EQ(below.field, "spec.workers");
  EXPECT_NE(below.message.find("900"), std::string::npos) << below.message;
  v1::BatchSubmitJobsRequest batch;
  batch.add_requests();
  with_unknown(*batch.add_requests(), 77);
  EXPECT_EQ(refuse_unknown_fields(batch).field, "requests");
}

TEST(StatusGrpc, ForeignStatusesAndLongOnesDoNotBreak) {
  const Status foreign = from_grpc({grpc::StatusCode::UNAVAILABLE, "gone", "\xff not a message"});
  EXPECT_EQ(foreign.code, Code::kUnavailable);
  EXPECT_EQ(foreign.message, "gone");
  EXPECT_TRUE(foreign.field.empty());
  const grpc::Status bounded = to_grpc(error(Code::kInternal, std::string(100'000, 'x')));
  EXPECT_LT(bounded.error_details().size() + bounded.error_message().size(), 8192U);
  const std::string text(100'000, 'x');
  const grpc::Status all =
      to_grpc(error(Code::kNotFound, text, text, text), Duration(1), "projects/" + text);
  EXPECT_LT(all.error_details().size() * 4 / 3 + all.error_message().size(), 8192U);
}

}  // namespace
}  // namespace overwinter::wire
