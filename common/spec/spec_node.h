// A specification as a small tree with line numbers, from YAML or JSON. For this room, and for
// settings that are read under the same bounds (coordinator/notify).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace overwinter::spec {

inline constexpr std::size_t kNodesMax = 100'000;

struct Node {
  enum class Kind { kNull, kScalar, kMap, kList };
  struct Entry;

  Kind kind = Kind::kNull;
  int line = 0;      // from 1
  std::string text;  // of a scalar
  std::vector<Entry> entries;
  std::vector<Node> items;
};

struct Node::Entry {
  std::string key;
  int line = 0;
  Node value;
};

// Refuses anchors and aliases, a second document, duplicate keys, keys that are no scalars, depth
// above kSpecDepthMax, more than kNodesMax nodes. The message begins with the line ("7: …"),
// without the source's name.
[[nodiscard]] Result<Node> read_yaml(std::string_view text);
// Strict JSON (RFC 8259) under the same bounds.
[[nodiscard]] Result<Node> read_json(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);
// At most 80 bytes of it, control characters as "?": for messages.
[[nodiscard]] std::string printable(std::string_view text);
[[nodiscard]] bool has_control_character(std::string_view text);  // U+0000 to U+001F, U+007F

}  // namespace overwinter::spec
