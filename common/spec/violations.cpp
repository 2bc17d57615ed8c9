#include "common/spec/violations.h"

#include <cmath>

#include "common/spec/spec_fields.h"

namespace overwinter::spec {
namespace {

constexpr std::int64_t kDurationSecondsMax = 366LL * 24 * 3600;
constexpr std::uint64_t kViolationsMax = 10'000;

google::protobuf::Duration to_message(Duration d) {
  google::protobuf::Duration out;
  out.set_seconds(d.count() / 1000);
  out.set_nanos(static_cast<std::int32_t>(d.count() % 1000) * 1'000'000);
  return out;
}

std::string bounds(const Key& key) {
  // The reader's own sentence, with the bounds in it.
  const auto read = read_value(key, "-");
  const std::string& message = read.error().message;
  return message.substr(0, message.rfind(", not "));
}

}  // namespace

void Violations::missing(const Key& key) {
  refuse(std::string(key.path),
         std::string(key.path) + " is missing: " + std::string(key.help) + ".");
}

void Violations::keys(const v1::JobSpec& spec, std::string_view section) {
  std::string_view absent;
  for (const Key& key : known_keys()) {
    if (!within(key.path, section)) continue;
    if (!absent.empty() && within(key.path, absent)) continue;
    if (!is_section(key))
      leaf(spec, key);
    else if (!get_field(spec, key).present)
      absent = key.path;  // the list has a section before its keys
  }
}

void Violations::leaf(const v1::JobSpec& spec, const Key& key) {
  const Field field = get_field(spec, key);
  const std::string name(key.path);
  const Value& value = field.value;
  const bool is_text = key.kind == ValueKind::kText || key.kind == ValueKind::kScript ||
                       key.kind == ValueKind::kChoice || key.kind == ValueKind::kDevice;
  if (!field.present) {
    if ((key.kind == ValueKind::kCount && key.least >= 1) ||
        (key.kind == ValueKind::kNumber && key.least > 0))
      missing(key);
    return;
  }
  if (is_text || (key.kind == ValueKind::kCommand && !value.is_list)) {
    if (auto read = read_value(key, value.text, options_.release); !read)
      refuse(name, read.error().message);
  } else if (key.kind == ValueKind::kCount) {
    if (value.number < static_cast<std::uint64_t>(key.least) ||
        value.number > static_cast<std::uint64_t>(key.most))
      refuse(name, bounds(key) + ".");
  } else if (key.kind == ValueKind::kNumber) {
    if (!std::isfinite(value.real) || value.real < key.least || value.real > key.most)
      refuse(name, bounds(key) + ".");
  } else if (key.kind == ValueKind::kCountList) {
    for (std::uint64_t number : value.numbers)
      if (number < static_cast<std::uint64_t>(key.least) ||
          number > static_cast<std::uint64_t>(key.most))
        return refuse(name, name + " must hold whole numbers from 1 to 1000000.");
  } else if (key.kind == ValueKind::kDuration) {
    duration(name, to_message(value.duration));
  } else if (value.texts.size() + value.pairs.size() > kViolationsMax) {
    refuse(name, name + " has more than 10000 entries.");
  } else {
    // Text lists and lists of arguments: as the reader takes them, entry by entry.
    Node list;
    list.kind = Node::Kind::kList;
    for (const std::string& text : value.texts)
      list.items.push_back(
          {.kind = Node::Kind::kScalar, .line = 0, .text = text, .entries = {}, .items = {}});
    int line = 0;
    if (!value.texts.empty())
      if (auto read = read_node(key, list, line, options_.release); !read)
        refuse(name, read.error().message);
  }
}

void Violations::choice(const std::string& field, const std::string& text) {
  if (auto read = read_value(*find_key(field), text, options_.release); !read)
    refuse(field, read.error().message);
}

void Violations::file(const std::string& field, const std::string& text, const std::string& what) {
  if (text.empty())
    return refuse(field,
                  field + " is missing: " + what + ", or artifact://SHA256 of a stored one.");
  if (text.size() > 4096 || has_control_character(text))
    return refuse(field, field + " is longer than 4096 bytes or holds a control character.");
  const bool uri = text.substr(0, 11) == "artifact://";
  if ((uri || options_.require_artifacts) && artifact_digest(text).empty())
    refuse(field, field + " must be artifact:// and 64 hexadecimal digits, not \"" +
                      printable(text) + "\".");
}

void Violations::duration(const std::string& field, const google::protobuf::Duration& d) {
  const bool positive = d.seconds() > 0 || (d.seconds() == 0 && d.nanos() > 0);
  if (!positive || d.seconds() > kDurationSecondsMax || d.nanos() < 0 || d.nanos() > 999'999'999)
    refuse(field, field + " must be longer than nothing and at most 366 days.");
}

}  // namespace overwinter::spec
