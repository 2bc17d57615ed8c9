#include "coordinator/wire/codec_parts.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "common/base/check.h"
#include "common/wire/convert.h"

namespace overwinter::wire::codec {

void put_labels(const core::Labels& labels, LabelsOut* out) {
  for (const auto& [key, value] : labels) {
    v1::FactLabel* added = out->Add();
    added->set_key(key);
    added->set_value(value);
  }
}

std::string bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

void put(ledger::Charge charge, v1::Charge* out) {
  out->set_low(static_cast<std::uint64_t>(charge.units));
  out->set_high(static_cast<std::uint64_t>(charge.units >> 64));
}

void put(const SeatKey& seat, v1::SeatKey* out) {
  out->set_job(seat.job.value());
  out->set_attempt(seat.attempt);
  out->set_number(seat.number);
}

void put(const Demand& demand, v1::FactDemand* out) {
  out->set_transport(static_cast<std::uint32_t>(demand.transport));
  out->set_seats_min(demand.seats_min);
  out->set_seats_max(demand.seats_max);
  out->set_device_kind(demand.device_kind);
  out->set_memory_bytes(demand.memory_bytes);
  out->set_threads(demand.threads);
  out->set_units(demand.units);
  out->set_units_per_range_max(demand.units_per_range_max);
  out->set_landing(static_cast<std::uint32_t>(demand.landing));
  out->set_stop_time_ms(demand.stop_time.count());
  if (demand.cap) out->set_cap_micros(demand.cap->micros);
  if (demand.time_limit) out->set_time_limit_ms(demand.time_limit->count());
  out->set_priority(static_cast<std::uint32_t>(demand.priority));
  out->set_spot(static_cast<std::uint32_t>(demand.spot));
  out->set_predicted_duration_ms(demand.predicted_duration.count());
  out->set_predicted_cost_micros(demand.predicted_cost.micros);
  out->set_predicted_memory_bytes(demand.predicted_memory_bytes);
  out->set_seats_per_worker(demand.seats_per_worker);
  out->set_retries(demand.retries);
  out->set_runs_user_code(demand.runs_user_code);
  out->set_stall_timeout_ms(demand.stall_timeout.count());
  out->set_start_timeout_ms(demand.start_timeout.count());
  out->set_host_memory_bytes(demand.host.memory_bytes);
  out->set_host_cpus(demand.host.cpus);
}

void put(const SeatExit& exit, v1::FactSeatExit* out) {
  out->set_exit_code(exit.exit_code);
  out->set_signal(exit.signal);
  if (exit.rank) out->set_rank(*exit.rank);
  out->set_step(exit.step);
  out->set_repeats(exit.repeats);
}

void put(const MachineInfo& machine, v1::FactMachine* out) {
  out->set_host_id(machine.host_id);
  out->set_host_name(machine.host_name);
  out->set_version(machine.version);
  for (const DeviceInfo& device : machine.devices) {
    v1::FactDevice* added = out->add_devices();
    added->set_kind(device.kind);
    added->set_model(device.model);
    added->set_memory_bytes(device.memory_bytes);
    added->set_threads(device.threads);
    added->set_gflops_fp32(device.gflops_fp32);
    added->set_gflops_fp64(device.gflops_fp64);
    added->set_uuid(device.uuid);
    added->set_memory_total_bytes(device.memory_total_bytes);
    added->set_host_memory_bytes(device.host_memory_bytes);
    added->set_gflops_bf16(device.gflops_bf16);
    added->set_gflops_fp16(device.gflops_fp16);
    added->set_gflops_int8(device.gflops_int8);
    added->set_strassen_fp32_side(device.strassen_fp32_side);
    added->set_strassen_fp64_side(device.strassen_fp64_side);
  }
  out->set_same_host_as_coordinator(machine.same_host_as_coordinator);
  out->set_peer_address(machine.peer_address);
  out->set_network(machine.network);
  out->set_shared_network(machine.shared_network);
  out->set_no_exec(machine.no_exec);
  out->set_memory_limit(machine.memory_limit);
  out->set_host_memory_bytes(machine.host.memory_bytes);
  out->set_host_cpus(machine.host.cpus);
}

void put(const ledger::PriceEntry& entry, v1::FactPriceEntry* out) {
  out->set_from_ms(unix_ms(entry.from));
  out->set_device(entry.device);
  out->set_supplier(entry.supplier);
  out->set_spot(entry.spot);
  out->set_per_hour_micros(entry.per_hour.micros);
  out->set_minimum_ms(entry.minimum.count());
}

void put(const ledger::PriceBook& book, v1::FactPriceBook* out) {
  out->set_currency(book.currency);
  for (const auto& entry : book.entries) put(entry, out->add_entries());
}

std::string serialise(const google::protobuf::MessageLite& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  check(message.SerializeToCodedStream(&coded), "a message of the store is below 2 GiB");
  coded.Trim();
  return out;
}

// ---- reading ------------------------------------------------------------------------------------

core::Cause cause(std::uint32_t value, Check& check) {
  return enumeration(value, core::Cause::kNone, core::Cause::kLaunch, "cause", check);
}

Priority priority(std::uint32_t value, Check& check) {
  return enumeration(value, Priority::kLow, Priority::kHigh, "priority", check);
}

Digest digest(const std::string& bytes, std::string_view field, Check& check) {
  Digest out;
  if (bytes.size() == out.bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  } else {
    check.wrong(field);
  }
  return out;
}

ledger::Charge charge(const v1::Charge& in) {
  const auto high = static_cast<std::int64_t>(in.high());
  return {ledger::Int128{high} * (ledger::Int128{1} << 64) + in.low()};
}

SeatKey seat(const v1::SeatKey& in) {
  return {JobId(in.job()), in.attempt(), in.number()};
}

core::SharedBytes shared(const std::string& bytes) {
  return std::make_shared<const std::string>(bytes);
}

UnitRanges units(const google::protobuf::RepeatedPtrField<v1::UnitRange>& in, Check& check) {
  UnitRanges out;
  // In order only: each is then added at the end, and damaged bytes cost no more than sound ones.
  const v1::UnitRange* last = nullptr;
  for (const auto& range : in) {
    if (range.begin() >= range.end() || (last != nullptr && range.begin() <= last->end())) {
      check.wrong("units");
      return {};
    }
    out.add({range.begin(), range.end()});
    last = &range;
  }
  return out;
}

Demand demand(const v1::FactDemand& in, Check& check) {
  Demand out;
  out.transport =
      enumeration(in.transport(), Transport::kElastic, Transport::kGang, "demand.transport", check);
  out.seats_min = in.seats_min();
  out.seats_max = in.seats_max();
  out.device_kind = in.device_kind();
  out.memory_bytes = in.memory_bytes();
  out.threads = in.threads();
  out.units = in.units();
  out.units_per_range_max = in.units_per_range_max();
  out.landing =
      enumeration(in.landing(), Landing::kArtifact, Landing::kReport, "demand.landing", check);
  out.stop_time = Duration(in.stop_time_ms());
  if (in.has_cap_micros()) out.cap = Money{in.cap_micros()};
  if (in.has_time_limit_ms()) out.time_limit = Duration(in.time_limit_ms());
  out.priority = priority(in.priority(), check);
  out.spot = enumeration(in.spot(), SpotUse::kNever, SpotUse::kOnly, "demand.spot", check);
  out.predicted_duration = Duration(in.predicted_duration_ms());
  out.predicted_cost = Money{in.predicted_cost_micros()};
  out.predicted_memory_bytes = in.predicted_memory_bytes();
  if (in.seats_per_worker() != 0) out.seats_per_worker = in.seats_per_worker();
  if (in.has_retries()) out.retries = in.retries();
  out.runs_user_code = in.runs_user_code();
  if (in.has_stall_timeout_ms()) out.stall_timeout = Duration(in.stall_timeout_ms());
  if (in.has_start_timeout_ms()) out.start_timeout = Duration(in.start_timeout_ms());
  out.host = {in.host_memory_bytes(), in.host_cpus()};
  return out;
}

SeatExit seat_exit(const v1::FactSeatExit& in) {
  SeatExit out;
  out.exit_code = in.exit_code();
  out.signal = in.signal();
  if (in.has_rank()) out.rank = in.rank();
  out.step = in.step();
  out.repeats = in.repeats();
  return out;
}

core::SeatEnd seat_end(std::uint32_t value, Check& check) {
  return enumeration(value, core::SeatEnd::kFinished, core::SeatEnd::kPeerLost, "end", check);
}

core::Labels labels(const LabelsOut& in) {
  core::Labels out;
  for (const v1::FactLabel& label : in) out.insert_or_assign(label.key(), label.value());
  return out;
}

MachineInfo machine(const v1::FactMachine& in) {
  MachineInfo out;
  out.host_id = in.host_id();
  out.host_name = in.host_name();
  out.version = in.version();
  // As it was written: what a device may be was checked when its worker said Hello.
  for (const auto& device : in.devices()) {
    out.devices.push_back({device.kind(), device.model(), device.memory_bytes(), device.threads(),
                           device.gflops_fp32(), device.gflops_fp64(), device.uuid(),
                           device.memory_total_bytes(), device.host_memory_bytes(),
                           device.gflops_bf16(), device.gflops_fp16(), device.gflops_int8(),
                           device.strassen_fp32_side(), device.strassen_fp64_side()});
  }
  out.same_host_as_coordinator = in.same_host_as_coordinator();
  out.peer_address = in.peer_address();
  out.network = in.network();
  out.shared_network = in.shared_network();
  out.no_exec = in.no_exec();
  out.memory_limit = in.memory_limit();
  out.host = {in.host_memory_bytes(), in.host_cpus()};
  return out;
}

ledger::PriceEntry price_entry(const v1::FactPriceEntry& in) {
  return {time_from_unix_ms(in.from_ms()),
          in.device(),
          in.supplier(),
          in.spot(),
          Money{in.per_hour_micros()},
          Duration(in.minimum_ms())};
}

ledger::PriceBook price_book(const v1::FactPriceBook& in) {
  ledger::PriceBook out;
  out.currency = in.currency();
  for (const auto& entry : in.entries()) out.entries.push_back(price_entry(entry));
  return out;
}

}  // namespace overwinter::wire::codec
