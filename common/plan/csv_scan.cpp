#include "common/plan/csv_scan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kColumnsMax = 65536;
constexpr std::size_t kFieldBytesMax = 4096;
constexpr std::string_view kMark = "\xEF\xBB\xBF";

// What is shown of a foreign field: short, printable.
std::string shown(std::string_view field) {
  std::string text(field.substr(0, 40));
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return "'" + text + "'";
}

}  // namespace

Status CsvScan::refuse(const std::string& what) const {
  return error(
      Code::kInvalidArgument,
      "Line " + std::to_string(line_) + ", column " + std::to_string(fields_ + 1) + ": " + what,
      "workload.train.data.csv.path");
}

Status CsvScan::add(std::span<const char> bytes) {
  for (const char c : bytes) {
    if (!past_mark_) {
      if (mark_ < kMark.size() && c == kMark[mark_]) {
        if (++mark_ == kMark.size()) past_mark_ = true;
        continue;
      }
      past_mark_ = true;
      // What looked like a mark was none.
      for (const char early : kMark.substr(0, mark_))
        if (Status s = take(early); !s.ok()) return s;
    }
    if (Status s = take(c); !s.ok()) return s;
  }
  return Status::success();
}

Status CsvScan::take(char c) {
  if (place_ == Place::kQuoted) {
    if (c == '"') {
      place_ = Place::kQuoteInQuoted;
      return Status::success();
    }
  } else if (place_ == Place::kQuoteInQuoted && c == '"') {
    place_ = Place::kQuoted;
  } else {
    if (carriage_return_ && c != '\n')
      return refuse("a field is followed by something other than a comma.");
    if (c == ',') return end_field();
    if (c == '\n') return end_line();
    if (c == '\r') {
      carriage_return_ = true;
      return Status::success();
    }
    if (place_ == Place::kQuoteInQuoted)
      return refuse("a field is followed by something other than a comma.");
    if (c == '"') {
      if (place_ == Place::kPlain) return refuse("a quote stands inside a field without quotes.");
      place_ = Place::kQuoted;
      return Status::success();
    }
    place_ = Place::kPlain;
  }
  if (field_.size() == kFieldBytesMax) return refuse("a field is longer than 4,096 bytes.");
  field_.push_back(c);
  return Status::success();
}

Status CsvScan::end_field() {
  if (empty_lines_ > 0) return refuse("an empty line stands between rows.");
  if (columns_ == 0) {
    if (fields_ == kColumnsMax) return refuse("there are more than 65,536 columns.");
    if (field_.empty()) return refuse("it has no name.");
    if (field_ == target_) target_column_ = fields_;
    if (fields_ == 0) first_name_ = field_;
    last_name_ = field_;
  } else if (fields_ == columns_) {
    return refuse("the row goes on; the first line names " + std::to_string(columns_) +
                  " columns.");
  } else if (fields_ == target_column_) {
    if (Status s = see_target(); !s.ok()) return s;
  }
  ++fields_;
  field_.clear();
  place_ = Place::kFieldBegin;
  return Status::success();
}

Status CsvScan::end_line() {
  carriage_return_ = false;
  // A line without a byte: a row of one empty field it could be, but such a field is no number.
  if (columns_ != 0 && fields_ == 0 && place_ == Place::kFieldBegin) {
    ++empty_lines_;
    return Status::success();
  }
  if (Status s = end_field(); !s.ok()) return s;
  if (columns_ == 0) {
    if (Status s = end_names(); !s.ok()) return s;
  } else if (fields_ < columns_) {
    return refuse("the row ends here; it has " + std::to_string(fields_) +
                  " fields, the first line names " + std::to_string(columns_) + " columns.");
  } else {
    ++rows_;
  }
  fields_ = 0;
  ++line_;
  return Status::success();
}

Status CsvScan::end_names() {
  columns_ = fields_;
  if (target_column_ != UINT64_MAX) return Status::success();
  return error(
      Code::kInvalidArgument, "No column is named " + shown(target_) + ".",
      "workload.train.data.csv.target",
      "The first column is named " + shown(first_name_) + ", the last " + shown(last_name_) + ".");
}

Status CsvScan::see_target() {
  std::string_view text = field_;
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return refuse(shown(field_) + " in " + shown(target_) + " is no number.");
  whole_ = whole_ && value >= 0 && value < static_cast<double>(kTrainClassesMax) &&
           value == std::floor(value);
  most_ = std::max(most_, value);
  return Status::success();
}

Result<DataFacts> CsvScan::finish() {
  if (place_ == Place::kQuoted) return fail(refuse("a quote is not closed."));
  const bool open = fields_ > 0 || place_ != Place::kFieldBegin;
  if (open) {
    if (Status s = end_line(); !s.ok()) return fail(std::move(s));
  }
  if (columns_ == 0) return fail(refuse("the file is empty."));
  if (rows_ == 0) return fail(refuse("there are no rows under the names."));
  DataFacts facts;
  facts.samples = rows_;
  facts.inputs = columns_ - 1;
  facts.classes = whole_;
  facts.outputs = whole_ ? static_cast<std::uint64_t>(most_) + 1 : 1;
  // As a worker holds it: fp32. No overflow: the text has a byte or more for each number.
  facts.table_bytes = rows_ * columns_ * sizeof(float);
  return facts;
}

}  // namespace overwinter::plan
