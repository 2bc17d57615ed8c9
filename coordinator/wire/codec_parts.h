// Pieces that facts and records share. Included by this room's .cpp files alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/fact.h"
#include "overwinter/v1/fact.pb.h"

namespace overwinter::wire::codec {

// ---- writing ------------------------------------------------------------------------------------

using LabelsOut = google::protobuf::RepeatedPtrField<v1::FactLabel>;
void put_labels(const core::Labels& labels, LabelsOut* out);
[[nodiscard]] std::string bytes_of(const Digest& digest);
void put(ledger::Charge charge, v1::Charge* out);
void put(const SeatKey& seat, v1::SeatKey* out);
void put(const Demand& demand, v1::FactDemand* out);
void put(const SeatExit& exit, v1::FactSeatExit* out);
void put(const MachineInfo& machine, v1::FactMachine* out);
void put(const ledger::PriceEntry& entry, v1::FactPriceEntry* out);
void put(const ledger::PriceBook& book, v1::FactPriceBook* out);
// With maps in key order: the same message gives the same bytes.
[[nodiscard]] std::string serialise(const google::protobuf::MessageLite& message);

// ---- reading ------------------------------------------------------------------------------------

// Collects the first thing that is wrong, so that the readers below stay plain lists of fields.
class Check {
 public:
  void wrong(std::string_view field) {
    if (field_.empty()) field_ = field;
  }
  [[nodiscard]] const std::string& field() const { return field_; }

 private:
  std::string field_;
};

template <class Enum>
Enum enumeration(std::uint32_t value, Enum first, Enum last, std::string_view field, Check& check) {
  if (value < static_cast<std::uint32_t>(first) || value > static_cast<std::uint32_t>(last)) {
    check.wrong(field);
    return first;
  }
  return static_cast<Enum>(value);
}

[[nodiscard]] core::Cause cause(std::uint32_t value, Check& check);
[[nodiscard]] Priority priority(std::uint32_t value, Check& check);
[[nodiscard]] Digest digest(const std::string& bytes, std::string_view field, Check& check);
[[nodiscard]] ledger::Charge charge(const v1::Charge& in);
[[nodiscard]] SeatKey seat(const v1::SeatKey& in);
[[nodiscard]] core::SharedBytes shared(const std::string& bytes);
// Ascending and not touching, else wrong.
[[nodiscard]] UnitRanges units(const google::protobuf::RepeatedPtrField<v1::UnitRange>& in,
                               Check& check);
[[nodiscard]] core::Labels labels(const LabelsOut& in);
[[nodiscard]] Demand demand(const v1::FactDemand& in, Check& check);
[[nodiscard]] SeatExit seat_exit(const v1::FactSeatExit& in);
[[nodiscard]] core::SeatEnd seat_end(std::uint32_t value, Check& check);
[[nodiscard]] MachineInfo machine(const v1::FactMachine& in);
[[nodiscard]] ledger::PriceEntry price_entry(const v1::FactPriceEntry& in);
[[nodiscard]] ledger::PriceBook price_book(const v1::FactPriceBook& in);

}  // namespace overwinter::wire::codec
