#include "common/wire/convert.h"

#include <cmath>

namespace overwinter::wire {
namespace {

constexpr std::int64_t kSecondsMax = 315'576'000'000;  // ten thousand years
constexpr std::size_t kDeviceTextMax = 256;

}  // namespace

v1::Money to_proto(Money amount, const std::string& currency) {
  v1::Money out;
  out.set_amount_micros(amount.micros);
  out.set_currency_code(currency);
  return out;
}

Result<Money> from_proto(const v1::Money& amount) {
  if (amount.amount_micros() < 0) {
    return fail(Code::kInvalidArgument, "an amount of money is not negative", "amount_micros");
  }
  return Money{amount.amount_micros()};
}

google::protobuf::Timestamp to_proto(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  google::protobuf::Timestamp out;
  out.set_seconds(seconds.time_since_epoch().count());
  out.set_nanos(static_cast<std::int32_t>((time - seconds).count()) * 1'000'000);
  return out;
}

Time from_proto(const google::protobuf::Timestamp& time) {
  return Time(Duration(time.seconds() * 1000 + time.nanos() / 1'000'000));
}

google::protobuf::Duration to_proto(Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(duration.count() / 1000);
  out.set_nanos(static_cast<std::int32_t>(duration.count() % 1000) * 1'000'000);
  return out;
}

Result<Duration> from_proto(const google::protobuf::Duration& duration) {
  if (duration.seconds() < 0 || duration.seconds() > kSecondsMax || duration.nanos() < 0 ||
      duration.nanos() > 999'999'999) {
    return fail(Code::kInvalidArgument, "a duration lies between 0 and ten thousand years",
                "duration");
  }
  return Duration(duration.seconds() * 1000 + duration.nanos() / 1'000'000);
}

v1::SeatKey to_proto(const SeatKey& seat) {
  v1::SeatKey out;
  out.set_job(seat.job.value());
  out.set_attempt(seat.attempt);
  out.set_number(seat.number);
  return out;
}

Result<SeatKey> from_proto(const v1::SeatKey& seat) {
  if (seat.job() == 0 || seat.attempt() == 0 || seat.number() == 0) {
    return fail(Code::kInvalidArgument, "a seat has a job, an attempt and a number, each from 1",
                "seat");
  }
  return SeatKey{JobId(seat.job()), seat.attempt(), seat.number()};
}

void to_proto(const UnitRanges& units, google::protobuf::RepeatedPtrField<v1::UnitRange>* out) {
  for (const UnitRange& range : units.ranges()) {
    v1::UnitRange* added = out->Add();
    added->set_begin(range.begin);
    added->set_end(range.end);
  }
}

Result<UnitRanges> from_proto(const google::protobuf::RepeatedPtrField<v1::UnitRange>& units) {
  if (units.size() > kUnitRangesMax) {
    return fail(Code::kInvalidArgument,
                "more than " + std::to_string(kUnitRangesMax) + " ranges of units", "units");
  }
  UnitRanges out;
  for (const v1::UnitRange& range : units) {
    if (range.begin() >= range.end()) {
      return fail(Code::kInvalidArgument, "a range of units ends behind its begin", "units");
    }
    out.add({range.begin(), range.end()});
  }
  return out;
}

v1::Device to_proto(const DeviceInfo& device) {
  v1::Device out;
  out.set_kind(device.kind);
  out.set_model(device.model);
  out.set_memory_bytes(device.memory_bytes);
  out.set_threads(device.threads);
  out.set_gflops_fp32(device.gflops_fp32);
  out.set_gflops_fp64(device.gflops_fp64);
  out.set_uuid(device.uuid);
  out.set_memory_total_bytes(device.memory_total_bytes);
  out.set_host_memory_bytes(device.host_memory_bytes);
  out.set_gflops_bf16(device.gflops_bf16);
  out.set_gflops_fp16(device.gflops_fp16);
  out.set_gflops_int8(device.gflops_int8);
  out.set_strassen_fp32_side(device.strassen_fp32_side);
  out.set_strassen_fp64_side(device.strassen_fp64_side);
  return out;
}

Result<DeviceInfo> from_proto(const v1::Device& device) {
  if (device.kind().empty() || device.kind().size() > 63 ||
      device.model().size() > kDeviceTextMax) {
    return fail(Code::kInvalidArgument,
                "a device's kind has 1 to 63 characters, its model at most 256", "device.kind");
  }
  if (device.memory_bytes() == 0 || device.threads() == 0) {
    return fail(Code::kInvalidArgument, "a device has memory and threads", "device.memory_bytes");
  }
  for (const double gflops : {device.gflops_fp32(), device.gflops_fp64(), device.gflops_bf16(),
                              device.gflops_fp16(), device.gflops_int8()}) {
    if (std::isfinite(gflops) && gflops >= 0) continue;
    return fail(Code::kInvalidArgument, "a device's speed is a number from 0",
                "device.gflops_fp32");
  }
  if (device.uuid().size() > kDeviceTextMax) {
    return fail(Code::kInvalidArgument, "a device's UUID has at most 256 characters",
                "device.uuid");
  }
  DeviceInfo out;
  out.kind = device.kind();
  out.model = device.model();
  out.memory_bytes = device.memory_bytes();
  out.threads = device.threads();
  out.gflops_fp32 = device.gflops_fp32();
  out.gflops_fp64 = device.gflops_fp64();
  out.uuid = device.uuid();
  out.memory_total_bytes = device.memory_total_bytes();
  out.host_memory_bytes = device.host_memory_bytes();
  out.gflops_bf16 = device.gflops_bf16();
  out.gflops_fp16 = device.gflops_fp16();
  out.gflops_int8 = device.gflops_int8();
  out.strassen_fp32_side = device.strassen_fp32_side();
  out.strassen_fp64_side = device.strassen_fp64_side();
  return out;
}

}  // namespace overwinter::wire
