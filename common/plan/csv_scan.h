// What a table of numbers in comma-separated text says of itself, read once in pieces: how many
// rows and columns, and whether one column holds classes. The text is as worker/train/csv_table.h
// takes it: a line of names, fields perhaps in quotes, LF or CRLF. Numbers of other columns than
// the target are not looked at: the worker does, with line and column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/result.h"
#include "common/plan/train_shape.h"

namespace overwinter::plan {

// One pass; memory for the names and one field.
class CsvScan {
 public:
  explicit CsvScan(std::string target) : target_(std::move(target)) {}

  // The next bytes, any number. INVALID_ARGUMENT, with line and column: a row with more or fewer
  // fields than the line of names, a field that is too long, a target that is no number.
  [[nodiscard]] Status add(std::span<const char> bytes);
  // After the last. INVALID_ARGUMENT when there are no rows, or the target is no column.
  [[nodiscard]] Result<DataFacts> finish();

 private:
  enum class Place : std::uint8_t { kFieldBegin, kPlain, kQuoted, kQuoteInQuoted };

  Status take(char c);
  Status end_field();
  Status end_line();
  Status end_names();
  Status see_target();
  [[nodiscard]] Status refuse(const std::string& what) const;

  const std::string target_;
  Place place_ = Place::kFieldBegin;
  bool carriage_return_ = false;  // seen, and not yet what follows it
  std::size_t mark_ = 0;          // bytes of a byte order mark seen
  bool past_mark_ = false;
  std::string field_;
  std::string first_name_;
  std::string last_name_;
  std::uint64_t line_ = 1;
  std::uint64_t empty_lines_ = 0;  // allowed at the end alone
  std::uint64_t fields_ = 0;       // of this line, ended
  std::uint64_t columns_ = 0;      // 0: in the line of names
  std::uint64_t target_column_ = UINT64_MAX;
  std::uint64_t rows_ = 0;
  bool whole_ = true;
  double most_ = -1;
};

}  // namespace overwinter::plan
