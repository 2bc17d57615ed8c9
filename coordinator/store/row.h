// Rows with a checksum in their last column: the first 8 bytes of SHA-256 over the other columns,
// so that a row changed behind our back is noticed when it is read. This room's files alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "coordinator/ledger/charge.h"
#include "coordinator/store/sqlite.h"

namespace overwinter::store {

class RowSum {
 public:
  void add(std::int64_t value);
  void add(std::string_view bytes);
  [[nodiscard]] std::int64_t value() const;

 private:
  std::string text_;
};

// Binds column after column, the checksum last.
class RowWriter {
 public:
  explicit RowWriter(Statement& statement) : statement_(statement) {}
  RowWriter& integer(std::int64_t value);
  RowWriter& number(std::uint64_t value) { return integer(static_cast<std::int64_t>(value)); }
  RowWriter& text(std::string_view value);
  RowWriter& blob(std::string_view value);
  RowWriter& charge(ledger::Charge charge);
  Status run();

 private:
  Statement& statement_;
  RowSum sum_;
  int place_ = 0;
};

// DATA_LOSS unless column `columns` is the checksum of those before it.
Status check_row(const Statement& statement, int columns, std::string_view table);

[[nodiscard]] std::string charge_bytes(ledger::Charge charge);  // 16 bytes, little-endian
[[nodiscard]] ledger::Charge charge_from(std::string_view bytes);

}  // namespace overwinter::store
