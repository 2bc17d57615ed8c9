#include <set>

#include "common/spec/spec.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

// A reader of its own, since messages need line numbers. Recursion is bounded by kSpecDepthMax.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Result<Node> read() {
    Node root;
    if (Status s = value(root, 0); !s.ok()) return fail(s);
    skip_space();
    if (at_ != text_.size()) return fail(refuse("nothing may follow the closing bracket"));
    return root;
  }

 private:
  [[nodiscard]] Status refuse(const std::string& message) const {
    return error(Code::kInvalidArgument, std::to_string(line_) + ": " + message);
  }
  [[nodiscard]] bool ended() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return ended() ? '\0' : text_[at_]; }
  bool take(char wanted) {
    if (peek() != wanted || ended()) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (!ended() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) {
      if (peek() == '\n') ++line_;
      ++at_;
    }
  }

  Status value(Node& out, int depth) {
    skip_space();
    if (depth >= kSpecDepthMax) return refuse("the file is nested too deeply");
    if (++nodes_ > kNodesMax) return refuse("the file has too many values");
    out.line = line_;
    if (take('{')) return map(out, depth);
    if (take('[')) return list(out, depth);
    if (peek() == '"') {
      out.kind = Node::Kind::kScalar;
      return string(out.text);
    }
    return word(out);
  }

  Status map(Node& out, int depth) {
    out.kind = Node::Kind::kMap;
    std::set<std::string> keys;
    skip_space();
    if (take('}')) return Status::success();
    while (true) {
      skip_space();
      Node::Entry& entry = out.entries.emplace_back();
      entry.line = line_;
      if (peek() != '"') return refuse("a key in double quotes is missing");
      if (Status s = string(entry.key); !s.ok()) return s;
      if (!keys.insert(entry.key).second)
        return refuse("the key \"" + printable(entry.key) + "\" is there twice");
      skip_space();
      if (!take(':')) return refuse("a colon is missing after a key");
      if (Status s = value(entry.value, depth + 1); !s.ok()) return s;
      skip_space();
      if (take('}')) return Status::success();
      if (!take(',')) return refuse("a comma or a closing brace is missing");
    }
  }

  Status list(Node& out, int depth) {
    out.kind = Node::Kind::kList;
    skip_space();
    if (take(']')) return Status::success();
    while (true) {
      if (Status s = value(out.items.emplace_back(), depth + 1); !s.ok()) return s;
      skip_space();
      if (take(']')) return Status::success();
      if (!take(',')) return refuse("a comma or a closing bracket is missing");
    }
  }

  // true, false, null and numbers: kept as they are written.
  Status word(Node& out) {
    const std::size_t begin = at_;
    while (!ended() && std::string_view("{}[],: \t\r\n\"").find(peek()) == std::string_view::npos)
      ++at_;
    out.text = std::string(text_.substr(begin, at_ - begin));
    if (out.text == "null") {
      out.text.clear();
      return Status::success();
    }
    out.kind = Node::Kind::kScalar;
    if (out.text == "true" || out.text == "false" || is_number(out.text)) return Status::success();
    return refuse(out.text.empty() ? "a value is missing"
                                   : "\"" + printable(out.text) +
                                         "\" is not a JSON value; text stands in double quotes");
  }

  static bool is_number(std::string_view t) {
    const auto digits = [&t] {
      std::size_t n = 0;
      while (n < t.size() && t[n] >= '0' && t[n] <= '9') ++n;
      t.remove_prefix(n);
      return n;
    };
    if (!t.empty() && t.front() == '-') t.remove_prefix(1);
    const bool leading_zero = !t.empty() && t.front() == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (leading_zero && whole > 1)) return false;
    if (!t.empty() && t.front() == '.') {
      t.remove_prefix(1);
      if (digits() == 0) return false;
    }
    if (!t.empty() && (t.front() == 'e' || t.front() == 'E')) {
      t.remove_prefix(1);
      if (!t.empty() && (t.front() == '+' || t.front() == '-')) t.remove_prefix(1);
      if (digits() == 0) return false;
    }
    return t.empty();
  }

  Status string(std::string& out) {
    ++at_;
    while (true) {
      if (ended()) return refuse("a closing quote is missing");
      const char c = text_[at_++];
      if (c == '"') return Status::success();
      if (static_cast<unsigned char>(c) < 0x20)
        return refuse("a line break or control character stands in quotes; escape it");
      if (c != '\\') {
        out += c;
        continue;
      }
      if (Status s = escape(out); !s.ok()) return s;
    }
  }

  Status escape(std::string& out) {
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const char c = ended() ? '\0' : text_[at_++];
    if (c == 'u') return unicode(out);
    const std::size_t at = kNames.find(c);
    if (c == '\0' || at == std::string_view::npos) return refuse("an unknown escape after \\");
    out += kValues[at];
    return Status::success();
  }

  bool hex4(unsigned& out) {
    out = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = peek();
      unsigned digit = 0;
      if (c >= '0' && c <= '9')
        digit = static_cast<unsigned>(c - '0');
      else if (c >= 'a' && c <= 'f')
        digit = static_cast<unsigned>(c - 'a') + 10;
      else if (c >= 'A' && c <= 'F')
        digit = static_cast<unsigned>(c - 'A') + 10;
      else
        return false;
      out = out * 16 + digit;
      ++at_;
    }
    return true;
  }

  Status unicode(std::string& out) {
    unsigned code = 0;
    if (!hex4(code)) return refuse("four hexadecimal digits are missing after \\u");
    if (code >= 0xD800 && code < 0xDC00) {
      unsigned low = 0;
      if (!take('\\') || !take('u') || !hex4(low) || low < 0xDC00 || low > 0xDFFF)
        return refuse("half of a surrogate pair after \\u");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return refuse("half of a surrogate pair after \\u");
    }
    append_utf8(code, out);
    return Status::success();
  }

  static void append_utf8(unsigned code, std::string& out) {
    const auto put = [&out](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6));
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::size_t nodes_ = 0;
};

}  // namespace

Result<Node> read_json(std::string_view text) {
  return JsonReader(text).read();
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || length > text.size() - i) return false;
    unsigned code = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t j = 1; j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xC0) != 0x80) return false;
      code = (code << 6) | (next & 0x3F);
    }
    // Overlong forms, surrogates, and beyond the last code point.
    if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10FFFF)) ||
        (code >= 0xD800 && code < 0xE000))
      return false;
    i += length;
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 80));
  while (!is_utf8(out)) out.pop_back();  // a character that the cut went through
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return out;
}

bool has_control_character(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return true;
  return false;
}

}  // namespace overwinter::spec
