// JSON from outside, read without surprises: bounded depth, no key twice in one object, no number
// that does not fit its type. Internal to this room.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::formats {

// An object (nothing else) of at most `depth_max` levels. kInvalidArgument, with the place. The
// caller bounds the length of `text`: a document may need 40 times its bytes in memory.
[[nodiscard]] Result<nlohmann::json> parse_strict_object(std::string_view text,
                                                         std::size_t depth_max);

// Takes nothing: what a reader of events (nlohmann's SAX interface) begins from. Each event that it
// wants it overrides; the first one that is refused ends the reading. No exception leaves it.
class RefusingEvents {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  virtual ~RefusingEvents() = default;
  virtual bool null() { return refuse("null"); }
  virtual bool boolean(bool) { return refuse("a truth value"); }
  virtual bool number_integer(number_integer_t) { return refuse("a negative number"); }
  virtual bool number_unsigned(number_unsigned_t) { return refuse("a number"); }
  virtual bool number_float(number_float_t, const string_t&) {
    return refuse("a number that is not whole, or too large");
  }
  virtual bool string(string_t&) { return refuse("a text"); }
  virtual bool binary(binary_t&) { return refuse("binary content"); }
  virtual bool start_object(std::size_t) { return refuse("an object"); }
  virtual bool key(string_t&) { return refuse("a key"); }
  virtual bool end_object() { return true; }
  virtual bool start_array(std::size_t) { return refuse("a list"); }
  virtual bool end_array() { return true; }
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::json::exception&);

  // Why reading ended early; empty when it did not.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 protected:
  // Says what is wrong, once; false.
  bool say(std::string trouble);
  bool refuse(std::string_view what);

 private:
  std::string trouble_;
};

}  // namespace overwinter::formats
