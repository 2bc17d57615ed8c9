#include "common/formats/strict_json.h"

#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

namespace overwinter::formats {
namespace {

using Json = nlohmann::json;

// Looks at depth and keys and builds nothing.
class Shape final : public RefusingEvents {
 public:
  explicit Shape(std::size_t depth_max) : depth_max_(depth_max) {}

  bool null() override { return in_object(); }
  bool boolean(bool) override { return in_object(); }
  bool number_integer(number_integer_t) override { return in_object(); }
  bool number_unsigned(number_unsigned_t) override { return in_object(); }
  bool number_float(number_float_t, const string_t&) override { return in_object(); }
  bool string(string_t&) override { return in_object(); }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return not_too_deep();
  }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    return say(fmt::format("a key of {} bytes stands twice in one object", name.size()));
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    if (!in_object()) return false;
    keys_.emplace_back();
    return not_too_deep();
  }
  bool end_array() override {
    keys_.pop_back();
    return true;
  }

 private:
  bool in_object() { return !keys_.empty() || say("it is no object"); }
  bool not_too_deep() {
    return keys_.size() <= depth_max_ ||
           say(fmt::format("it is nested deeper than {} levels", depth_max_));
  }

  const std::size_t depth_max_;
  std::vector<std::set<std::string>> keys_;  // of each open level; a list has none
};

}  // namespace

bool RefusingEvents::say(std::string trouble) {
  if (trouble_.empty()) trouble_ = std::move(trouble);
  return false;
}

bool RefusingEvents::refuse(std::string_view what) {
  return say(fmt::format("{} stands where it does not belong", what));
}

bool RefusingEvents::parse_error(std::size_t position, const std::string& /*last_token*/,
                                 const nlohmann::json::exception& /*problem*/) {
  return say(fmt::format("it is no JSON at byte {}", position));
}

Result<Json> parse_strict_object(std::string_view text, std::size_t depth_max) {
  Shape shape(depth_max);
  if (!Json::sax_parse(text, &shape)) return fail(Code::kInvalidArgument, shape.trouble());
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Code::kInvalidArgument, "it is no object");
  return json;
}

}  // namespace overwinter::formats
