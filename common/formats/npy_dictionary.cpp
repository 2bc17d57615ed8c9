#include "common/formats/npy_dictionary.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

namespace overwinter::formats {
namespace {

constexpr std::size_t kStringMax = 128;
constexpr std::size_t kDimensionsMax = 32;  // NumPy's own limit

Status bad_dictionary(std::string message) {
  return error(Code::kInvalidArgument, std::move(message));
}

class DictionaryParser {
 public:
  explicit DictionaryParser(std::string_view text) : text_(text) {}

  Result<NpyDictionary> parse();

 private:
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  // Skips white space, then takes the character when it is next.
  bool take(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] char next() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  Result<std::string> parse_string();
  Result<std::uint64_t> parse_dimension();
  Status parse_entry();
  Status parse_descriptor();
  Status parse_order();
  Status parse_shape();

  std::string_view text_;
  std::size_t at_ = 0;
  NpyDictionary found_;
  bool has_descriptor_ = false;
  bool has_order_ = false;
  bool has_shape_ = false;
};

Result<std::string> DictionaryParser::parse_string() {
  const char quote = next();
  if (quote != '\'' && quote != '"')
    return fail(bad_dictionary("The .npy header is damaged: a quoted name was expected."));
  ++at_;
  const std::size_t end = text_.find(quote, at_);
  if (end == std::string_view::npos || end - at_ > kStringMax)
    return fail(bad_dictionary("The .npy header is damaged: a quoted name does not end."));
  const std::string_view content = text_.substr(at_, end - at_);
  if (content.find('\\') != std::string_view::npos)
    return fail(bad_dictionary("The .npy header is damaged: a name holds a backslash."));
  at_ = end + 1;
  return std::string(content);
}

Status DictionaryParser::parse_descriptor() {
  if (has_descriptor_) return bad_dictionary("The .npy header says 'descr' twice.");
  has_descriptor_ = true;
  if (next() == '[' || next() == '(') {
    // Nothing after a structured descriptor matters: the file is refused whatever follows.
    found_.structured = true;
    at_ = text_.size();
    return Status::success();
  }
  Result<std::string> value = parse_string();
  if (!value) return value.error();
  found_.descriptor = std::move(*value);
  return Status::success();
}

Status DictionaryParser::parse_order() {
  if (has_order_) return bad_dictionary("The .npy header says 'fortran_order' twice.");
  has_order_ = true;
  if (take_word("True")) {
    found_.fortran_order = true;
  } else if (!take_word("False")) {
    return bad_dictionary("The .npy header is damaged: 'fortran_order' is neither True nor False.");
  }
  return Status::success();
}

Result<std::uint64_t> DictionaryParser::parse_dimension() {
  if (next() == '-') return fail(bad_dictionary("The .npy header has a negative dimension."));
  const std::size_t begin = at_;
  std::uint64_t value = 0;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
      return fail(bad_dictionary("The .npy header has a dimension beyond 64 bits."));
    value = value * 10 + digit;
    ++at_;
  }
  if (at_ == begin)
    return fail(bad_dictionary(
        "The .npy header is damaged: 'shape' holds something that is not a number."));
  if (text_[begin] == '0' && at_ - begin > 1)
    return fail(bad_dictionary("The .npy header is damaged: a dimension begins with 0."));
  if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // written by Python 2
  return value;
}

Status DictionaryParser::parse_shape() {
  if (has_shape_) return bad_dictionary("The .npy header says 'shape' twice.");
  has_shape_ = true;
  if (!take('(')) return bad_dictionary("The .npy header is damaged: 'shape' is not a tuple.");
  bool comma = true;
  while (!take(')')) {
    if (!comma) return bad_dictionary("The .npy header is damaged: 'shape' does not end.");
    if (found_.shape.size() == kDimensionsMax)
      return bad_dictionary(
          fmt::format("The .npy header has more than {} dimensions.", kDimensionsMax));
    Result<std::uint64_t> dimension = parse_dimension();
    if (!dimension) return dimension.error();
    found_.shape.push_back(*dimension);
    comma = take(',');
  }
  if (found_.shape.size() == 1 && !comma)
    return bad_dictionary("The .npy header is damaged: 'shape' is not a tuple.");
  return Status::success();
}

Status DictionaryParser::parse_entry() {
  const Result<std::string> key = parse_string();
  if (!key) return key.error();
  if (!take(':')) return bad_dictionary("The .npy header is damaged: a key has no value.");
  if (*key == "descr") return parse_descriptor();
  if (*key == "fortran_order") return parse_order();
  if (*key == "shape") return parse_shape();
  return bad_dictionary(
      fmt::format("The .npy header has the unknown key {}.", quote_foreign(*key)));
}

Result<NpyDictionary> DictionaryParser::parse() {
  if (!take('{'))
    return fail(bad_dictionary("The .npy header is damaged: it does not begin with '{'."));
  bool comma = true;
  while (!take('}')) {
    if (!comma)
      return fail(bad_dictionary("The .npy header is damaged: it does not end with '}'."));
    if (Status entry = parse_entry(); !entry.ok()) return fail(std::move(entry));
    if (found_.structured) return found_;
    comma = take(',');
  }
  skip_space();
  if (at_ != text_.size())
    return fail(bad_dictionary("The .npy header is damaged: something follows its '}'."));
  for (const auto& [there, name] :
       {std::pair{has_descriptor_, "descr"}, std::pair{has_order_, "fortran_order"},
        std::pair{has_shape_, "shape"}}) {
    if (!there)
      return fail(bad_dictionary(fmt::format("The .npy header does not say '{}'.", name)));
  }
  return found_;
}

}  // namespace

Result<NpyDictionary> parse_npy_dictionary(std::string_view text) {
  return DictionaryParser(text).parse();
}

std::string quote_foreign(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, 40)) quoted += c >= ' ' && c <= '~' && c != '\'' ? c : '?';
  quoted += '\'';
  return quoted;
}

}  // namespace overwinter::formats
