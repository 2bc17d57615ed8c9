#include <charconv>

#include "common/base/money.h"
#include "common/spec/spec.h"
#include "common/spec/spec_fields.h"

namespace overwinter::spec {
namespace {

// In double quotes, as YAML and JSON read it.
std::string quoted(const std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[c & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string milliseconds(Duration d) {
  return std::to_string(d.count()) + "ms";
}

std::string text_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + quoted(text);
  return "[" + out + "]";
}

// What stands behind the colon.
std::string value_text(const Key& key, const Value& value) {
  switch (key.kind) {
    case ValueKind::kCount:
      return std::to_string(value.number);
    case ValueKind::kNumber:
      return number_text(value.real);
    case ValueKind::kSize:
      return std::to_string(value.number) + "B";
    case ValueKind::kDuration:
      return milliseconds(value.duration);
    case ValueKind::kEvery:
      return value.number != 0 ? std::to_string(value.number) + " steps"
                               : milliseconds(value.duration);
    case ValueKind::kMoney:
      return format_money(value.money);
    case ValueKind::kTextList:
      return text_list(value.texts);
    case ValueKind::kCommand:
      return value.is_list ? text_list(value.texts) : quoted(value.text);
    case ValueKind::kCountList: {
      std::string out;
      for (std::uint64_t number : value.numbers)
        out += (out.empty() ? "" : ", ") + std::to_string(number);
      return "[" + out + "]";
    }
    case ValueKind::kMetrics: {
      std::string out;
      for (const auto& [name, regex] : value.pairs)
        out += (out.empty() ? "" : ", ") + ("{ name: " + quoted(name)) +
               ", regex: " + quoted(regex) + " }";
      return "[" + out + "]";
    }
    default:
      return quoted(value.text);
  }
}

std::string_view parent_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

// The keys right below a section that are set, and all that is below them.
void print_section(const v1::JobSpec& spec, std::string_view section, std::size_t indent,
                   std::string& out) {
  for (const Key& key : known_keys()) {
    if (parent_of(key.path) != section) continue;
    const Field field = get_field(spec, key);
    const std::string name(key.path.substr(section.empty() ? 0 : section.size() + 1));
    const std::string start = std::string(indent, ' ') + name + ":";
    // A program without a folder: the key's absence would be the current one.
    const bool no_workdir = key.path == "workload.exec.workdir" && spec.has_exec();
    if (is_section(key) && field.present) {
      out += start + "\n";
      print_section(spec, key.path, indent + 2, out);
    } else if (key.kind == ValueKind::kTextMap && field.present) {
      out += start + "\n";
      for (const auto& [word, text] : field.value.pairs)
        out += std::string(indent + 2, ' ') + quoted(word) + ": " + quoted(text) + "\n";
    } else if (field.present) {
      out += start + " " + value_text(key, field.value) + "\n";
    } else if (no_workdir) {
      out += start + " none\n";
    }
  }
}

}  // namespace

std::string spec_to_yaml(const v1::JobSpec& spec) {
  std::string out;
  print_section(spec, "", 0, out);
  return out;
}

}  // namespace overwinter::spec
