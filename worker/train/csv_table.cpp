#include "worker/train/csv_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

namespace overwinter::worker {
namespace {

Status refuse(std::uint64_t line, std::size_t column, const std::string& what,
              std::string hint = {}) {
  return error(Code::kInvalidArgument,
               "Line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + what,
               "workload.train.data.csv.path", std::move(hint));
}

// What is shown of a foreign field: short, printable.
std::string shown(std::string_view field) {
  std::string text(field.substr(0, 40));
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return "'" + text + "'";
}

// Walks fields; line and column count from 1.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  [[nodiscard]] bool at_end() const {
    return rest_.find_first_not_of("\r\n") == std::string_view::npos;
  }
  [[nodiscard]] std::uint64_t line() const { return line_; }
  [[nodiscard]] std::size_t column() const { return column_; }
  [[nodiscard]] bool last_of_line() const { return last_; }
  [[nodiscard]] std::string_view value() const { return value_; }

  // To the next field.
  Status next() {
    if (last_) {
      ++line_;
      line_ += std::exchange(breaks_, 0);
      column_ = 0;
    }
    ++column_;
    return rest_.starts_with('"') ? quoted() : plain();
  }

 private:
  Status plain() {
    const std::size_t end = std::min(rest_.find_first_of(",\r\n\""), rest_.size());
    if (end < rest_.size() && rest_[end] == '"')
      return refuse(line_, column_, "a quote stands inside a field without quotes.");
    value_ = rest_.substr(0, end);
    if (value_.size() > kCsvFieldBytesMax)
      return refuse(line_, column_, "a field is longer than 4,096 bytes.");
    rest_.remove_prefix(end);
    return separator();
  }
  Status quoted() {
    unquoted_.clear();
    std::size_t i = 1;
    for (;; ++i) {
      if (i >= rest_.size()) return refuse(line_, column_, "a quote is not closed.");
      if (rest_[i] == '"') {
        if (i + 1 >= rest_.size() || rest_[i + 1] != '"') break;
        ++i;
      }
      if (rest_[i] == '\n') ++breaks_;
      unquoted_.push_back(rest_[i]);
      if (unquoted_.size() > kCsvFieldBytesMax)
        return refuse(line_, column_, "a field is longer than 4,096 bytes.");
    }
    value_ = unquoted_;
    rest_.remove_prefix(i + 1);
    return separator();
  }
  Status separator() {
    last_ = true;
    if (rest_.empty()) return Status::success();
    if (rest_.front() == ',') {
      last_ = false;
      rest_.remove_prefix(1);
    } else if (rest_.front() == '\n') {
      rest_.remove_prefix(1);
    } else if (rest_.starts_with("\r\n")) {
      rest_.remove_prefix(2);
    } else {
      return refuse(line_, column_, "a field is followed by something other than a comma.");
    }
    return Status::success();
  }

  std::string_view rest_;
  std::string_view value_;
  std::string unquoted_;
  std::uint64_t line_ = 0;
  std::uint64_t breaks_ = 0;
  std::size_t column_ = 0;
  bool last_ = true;
};

Status read_names(Fields& fields, std::vector<std::string>& names) {
  if (fields.at_end()) return refuse(1, 1, "the file is empty.");
  std::set<std::string, std::less<>> seen;
  do {
    if (Status s = fields.next(); !s.ok()) return s;
    if (names.size() == kCsvColumnsMax)
      return refuse(1, fields.column(), "there are more than 65,536 columns.");
    names.emplace_back(fields.value());
    if (names.back().empty()) return refuse(fields.line(), fields.column(), "it has no name.");
    if (!seen.insert(names.back()).second)
      return refuse(fields.line(), fields.column(),
                    "a second column is named " + shown(names.back()) + ".");
  } while (!fields.last_of_line());
  return Status::success();
}

Result<double> number_of(const Fields& fields, const std::string& name) {
  std::string_view text = fields.value();
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  double value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem == std::errc() && end == digits.data() + digits.size() && std::isfinite(value) &&
      std::abs(value) <= 3.4e38)
    return value;
  if (text.empty())
    return fail(refuse(fields.line(), fields.column(), "nothing stands in " + shown(name) + ".",
                       "Every field needs a number; leave such rows out or fill them in."));
  return fail(refuse(fields.line(), fields.column(),
                     shown(text) + " in " + shown(name) + " is no number.",
                     "Turn words into numbers first; decimals have a point."));
}

}  // namespace

Result<CsvShape> csv_shape(std::string_view text) {
  CsvShape shape;
  Fields fields(text);
  if (Status s = read_names(fields, shape.columns); !s.ok()) return fail(s);
  while (!fields.at_end()) {
    std::size_t count = 0;
    do {
      if (Status s = fields.next(); !s.ok()) return fail(s);
      ++count;
    } while (!fields.last_of_line() && count <= shape.columns.size());
    if (count != shape.columns.size())
      return fail(refuse(fields.line(), std::min(count, shape.columns.size() + 1),
                         (count < shape.columns.size() ? "the row ends here; it has " +
                                                             std::to_string(count) + " fields, the "
                                                       : "the row goes on; the ") +
                             std::string("first line names ") +
                             std::to_string(shape.columns.size()) + " columns."));
    ++shape.rows;
  }
  if (shape.rows == 0) return fail(refuse(2, 1, "there are no rows under the names."));
  return shape;
}

Status read_csv(std::string_view text, const CsvShape& shape,
                const std::function<void(std::uint64_t, std::size_t, double)>& number) {
  Fields fields(text);
  std::vector<std::string> names;
  if (Status s = read_names(fields, names); !s.ok()) return s;
  for (std::uint64_t row = 0; row < shape.rows; ++row) {
    for (std::size_t column = 0; column < names.size(); ++column) {
      if (Status s = fields.next(); !s.ok()) return s;
      const auto value = number_of(fields, names[column]);
      if (!value) return value.error();
      number(row, column, *value);
    }
  }
  return Status::success();
}

}  // namespace overwinter::worker
