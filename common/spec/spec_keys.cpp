#include "common/spec/spec_keys.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/base/bytes.h"
#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kScriptBytesMax = 64 * kKiB;
constexpr std::size_t kEntriesMax = 10'000;

std::string listed(const Key& key, const Release& release) {
  std::string out;
  for (std::string_view rest = key.choices; !rest.empty();) {
    const std::size_t bar = std::min(rest.find('|'), rest.size());
    const std::string_view choice = rest.substr(0, bar);
    rest.remove_prefix(std::min(bar + 1, rest.size()));
    if (!about_later_value(key.path, choice, release).empty()) continue;
    out += (out.empty() ? "" : ", ") + std::string(choice);
  }
  return out;
}

bool is_choice(std::string_view choices, std::string_view text) {
  while (true) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
}

std::string count_text(double value) {
  return std::to_string(static_cast<std::uint64_t>(value));
}

// Control characters that a text of several lines may hold.
bool has_bad_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') ||
           c == 0x7F;
  });
}

class Reader {
 public:
  Reader(const Key& key, const Release& release) : key_(key), release_(release) {}

  Result<Value> scalar(std::string_view text) {
    value_.text = std::string(text);
    shown_ = "\"" + printable(text.substr(0, 60)) + "\"";
    const bool lines = key_.kind == ValueKind::kScript || key_.kind == ValueKind::kCommand;
    if (lines ? has_bad_control(text) : has_control_character(text))
      return refuse("holds a control character.");
    switch (key_.kind) {
      case ValueKind::kText:
        if (text.size() > kTextBytesMax) return refuse("is longer than 4096 bytes.");
        return value_;
      case ValueKind::kScript:
      case ValueKind::kCommand:
        if (text.size() > kScriptBytesMax) return refuse("is longer than 64 KiB.");
        return value_;
      case ValueKind::kChoice:
        return choice(text);
      case ValueKind::kDevice:
        return device(text);
      case ValueKind::kCount:
        return count(text);
      case ValueKind::kNumber:
        return number(text);
      case ValueKind::kSize:
        return size(text);
      case ValueKind::kDuration:
        return duration(text, "must be a duration with a unit (90s, 30m, 12h), not ");
      case ValueKind::kEvery:
        return every(text);
      case ValueKind::kMoney: {
        const auto money = parse_money(text);
        if (!money) return refuse("must be an amount (0.50), not " + shown_ + ".");
        value_.money = *money;
        return value_;
      }
      case ValueKind::kTextList:
      case ValueKind::kCountList:
        return refuse("must be a list: [" + printable(text.substr(0, 60)) + "].");
      case ValueKind::kMetrics:
        return refuse("must be a list " + std::string(key_.help) + ".");
      case ValueKind::kTextMap:
      case ValueKind::kSection:
      case ValueKind::kOneOf:
        break;
    }
    return refuse("is a section; name one of its keys.");
  }

  Result<Value> list(const Node& node, int& line) {
    value_.is_list = true;
    if (node.items.size() > kEntriesMax) return refuse("has more than 10000 entries.");
    for (const Node& item : node.items) {
      line = item.line;
      if (key_.kind == ValueKind::kMetrics) {
        if (Status s = metric(item); !s.ok()) return fail(s);
        continue;
      }
      if (item.kind != Node::Kind::kScalar) return refuse("must be a list of single values.");
      if (Status s = entry(item.text); !s.ok()) return fail(s);
    }
    return value_;
  }

  Result<Value> map(const Node& node, int& line) {
    if (node.entries.size() > kEntriesMax) return refuse("has more than 10000 entries.");
    for (const Node::Entry& entry : node.entries) {
      line = entry.line;
      if (entry.value.kind != Node::Kind::kScalar)
        return refuse("." + printable(entry.key) + " must be a single value.", "");
      if (entry.value.text.size() > kScriptBytesMax)
        return refuse("." + printable(entry.key) + " is longer than 64 KiB.", "");
      value_.pairs.emplace_back(entry.key, entry.value.text);
    }
    return value_;
  }

  tl::unexpected<Status> refuse(const std::string& what, std::string_view space = " ") const {
    return fail(Code::kInvalidArgument, std::string(key_.path) + std::string(space) + what,
                std::string(key_.path));
  }

 private:
  Result<Value> choice(std::string_view text) {
    if (const std::string later = about_later_value(key_.path, text, release_); !later.empty())
      return refuse("cannot be " + shown_ + ": " + later);
    if (is_choice(key_.choices, text)) return value_;
    return refuse("must be one of " + listed(key_, release_) + ", not " + shown_ + ".");
  }

  Result<Value> device(std::string_view text) {
    const std::string_view kind = text.substr(0, text.find(':'));
    if (const std::string later = about_later_value(key_.path, kind, release_); !later.empty())
      return refuse("cannot be " + shown_ + ": " + later);
    if (!release_.gangs()) {
      if (text == "any" || text == "cpu") return value_;
      return refuse("must be one of any, cpu, not " + shown_ + ".");
    }
    auto wish = parse_device(text);
    if (!wish) return refuse(wish.error().message);
    return value_;
  }

  Result<Value> count(std::string_view text) {
    if (!read_count(text, value_.number))
      return refuse("must be a whole number from " + count_text(key_.least) + " to " +
                    count_text(key_.most) + ", not " + shown_ + ".");
    return value_;
  }
  bool read_count(std::string_view text, std::uint64_t& out) const {
    const auto [end, parsed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return parsed == std::errc() && end == text.data() + text.size() &&
           out >= static_cast<std::uint64_t>(key_.least) &&
           out <= static_cast<std::uint64_t>(key_.most);
  }

  Result<Value> number(std::string_view text) {
    const auto [end, parsed] = std::from_chars(text.data(), text.data() + text.size(), value_.real);
    if (parsed != std::errc() || end != text.data() + text.size() || !std::isfinite(value_.real) ||
        value_.real < key_.least || value_.real > key_.most)
      return refuse("must be a number from " + number_text(key_.least) + " to " +
                    number_text(key_.most) + ", not " + shown_ + ".");
    return value_;
  }

  Result<Value> size(std::string_view text) {
    if (!key_.choices.empty() && is_choice(key_.choices, text)) return value_;
    const auto bytes = parse_bytes(text);
    if (!bytes)
      return refuse("must be a size with a unit (64MiB, 4GiB)" +
                    std::string(key_.choices.empty() ? "" : " or auto") + ", not " + shown_ + ".");
    value_.number = *bytes;
    return value_;
  }

  Result<Value> duration(std::string_view text, const std::string& wanted) {
    const auto duration = parse_duration(text);
    if (!duration || duration->count() <= 0) return refuse(wanted + shown_ + ".");
    value_.duration = *duration;
    return value_;
  }

  Result<Value> every(std::string_view text) {
    static const std::string kWanted = "must be steps or a duration (50 steps, 5m), not ";
    const std::size_t space = text.find(' ');
    const std::string_view unit =
        space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (unit != "steps" && unit != "step") return duration(text, kWanted);
    const std::string_view digits = text.substr(0, space);
    const auto [end, parsed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value_.number);
    if (parsed != std::errc() || end != digits.data() + digits.size() || value_.number == 0 ||
        value_.number > 1'000'000'000)
      return refuse(kWanted + shown_ + ".");
    return value_;
  }

  Status entry(const std::string& text) {
    if (key_.kind == ValueKind::kCountList) {
      std::uint64_t number = 0;
      if (!read_count(text, number))
        return refuse("must hold whole numbers from " + count_text(key_.least) + " to " +
                      count_text(key_.most) + ", not \"" + printable(text.substr(0, 60)) + "\".")
            .value();
      value_.numbers.push_back(number);
      return Status::success();
    }
    const bool lines = key_.kind == ValueKind::kCommand;
    if (lines ? has_bad_control(text) : has_control_character(text))
      return refuse("holds a control character.").value();
    if (text.size() > (lines ? kScriptBytesMax : kTextBytesMax))
      return refuse("has an entry that is too long.").value();
    value_.texts.push_back(text);
    return Status::success();
  }

  Status metric(const Node& item) {
    const auto wrong = [&] {
      return refuse("must be a list " + std::string(key_.help) + ".").value();
    };
    if (item.kind != Node::Kind::kMap || item.entries.size() != 2) return wrong();
    std::pair<std::string, std::string> pair;
    for (const Node::Entry& entry : item.entries) {
      if (entry.value.kind != Node::Kind::kScalar) return wrong();
      if (entry.key == "name")
        pair.first = entry.value.text;
      else if (entry.key == "regex")
        pair.second = entry.value.text;
      else
        return wrong();
    }
    value_.pairs.push_back(std::move(pair));
    return Status::success();
  }

  const Key& key_;
  const Release& release_;
  std::string shown_;
  Value value_;
};

}  // namespace

std::string number_text(double value) {
  char text[40];
  const auto [end, unused] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

Result<Value> read_value(const Key& key, std::string_view text, const Release& release) {
  return Reader(key, release).scalar(text);
}

Result<Value> read_node(const Key& key, const Node& node, int& line, const Release& release) {
  Reader reader(key, release);
  const bool takes_list = key.kind == ValueKind::kTextList || key.kind == ValueKind::kCountList ||
                          key.kind == ValueKind::kCommand || key.kind == ValueKind::kMetrics;
  const bool takes_map = key.kind == ValueKind::kTextMap;
  switch (node.kind) {
    case Node::Kind::kNull:
      if (takes_map) return Value{};
      return reader.refuse("has no value; leave it out, or give it one.");
    case Node::Kind::kScalar:
      if (takes_map) return reader.refuse("must be a section of words: { NAME: text }.");
      return reader.scalar(node.text);
    case Node::Kind::kList:
      if (takes_map) return reader.refuse("must be a section of words: { NAME: text }.");
      if (!takes_list) return reader.refuse("must be a single value.");
      return reader.list(node, line);
    case Node::Kind::kMap:
      if (!takes_map) {
        return reader.refuse(takes_list ? "must be a list." : "must be a single value.");
      }
      return reader.map(node, line);
  }
  return reader.refuse("cannot be read.");
}

}  // namespace overwinter::spec
