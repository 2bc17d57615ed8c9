#include "coordinator/store/row.h"

#include "common/security/encoding.h"

namespace overwinter::store {
namespace {

void add_number(std::string& out, std::uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) {
    out.push_back(static_cast<char>((value >> (8 * byte)) & 0xff));
  }
}

std::uint64_t number_from(std::string_view bytes) {
  std::uint64_t out = 0;
  for (std::size_t byte = 0; byte < 8 && byte < bytes.size(); ++byte) {
    out |= std::uint64_t{static_cast<unsigned char>(bytes[byte])} << (8 * byte);
  }
  return out;
}

}  // namespace

void RowSum::add(std::int64_t value) {
  text_.push_back('i');
  add_number(text_, static_cast<std::uint64_t>(value));
}

void RowSum::add(std::string_view bytes) {
  text_.push_back('b');
  add_number(text_, bytes.size());
  text_ += bytes;
}

std::int64_t RowSum::value() const {
  const Digest digest = sha256(text_);
  return static_cast<std::int64_t>(
      number_from({reinterpret_cast<const char*>(digest.bytes.data()), 8}));
}

RowWriter& RowWriter::integer(std::int64_t value) {
  statement_.bind(++place_, value);
  sum_.add(value);
  return *this;
}

RowWriter& RowWriter::text(std::string_view value) {
  statement_.bind_text(++place_, value);
  sum_.add(value);
  return *this;
}

RowWriter& RowWriter::blob(std::string_view value) {
  statement_.bind_blob(++place_, value);
  sum_.add(value);
  return *this;
}

RowWriter& RowWriter::charge(ledger::Charge charge) {
  return blob(charge_bytes(charge));
}

Status RowWriter::run() {
  statement_.bind(++place_, sum_.value());
  return statement_.run();
}

Status check_row(const Statement& statement, int columns, std::string_view table) {
  RowSum sum;
  for (int column = 0; column < columns; ++column) {
    if (statement.is_integer(column)) {
      sum.add(statement.integer(column));
    } else {
      sum.add(statement.blob(column));
    }
  }
  if (sum.value() == statement.integer(columns)) return Status::success();
  return error(Code::kDataLoss, "a row of " + std::string(table) + " in the projection is damaged",
               "projection",
               "stop the coordinator, remove projection.db and its -wal and -shm, and start it: "
               "the projection is built anew from the log");
}

std::string charge_bytes(ledger::Charge charge) {
  std::string out;
  add_number(out, static_cast<std::uint64_t>(charge.units));
  add_number(out, static_cast<std::uint64_t>(charge.units >> 64));
  return out;
}

ledger::Charge charge_from(std::string_view bytes) {
  if (bytes.size() != 16) return {};
  const auto high = static_cast<std::int64_t>(number_from(bytes.substr(8)));
  return {ledger::Int128{high} * (ledger::Int128{1} << 64) + number_from(bytes)};
}

}  // namespace overwinter::store
