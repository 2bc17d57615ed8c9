// Every key of a job file, once: the parser, --set, validation, the printer, "did you mean" and the
// documentation read this list. A key's path is its field's path in v1::JobSpec, without
// "workload."; fields of sizes end in _bytes. Internal to the room, but for its tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/money.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/spec/release.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {

enum class ValueKind {
  kSection,  // a map of further keys
  kOneOf,    // a map with exactly one of its keys
  kText,     // one line of at most 4096 bytes
  kScript,   // lines
  kChoice,   // one of `choices`
  kDevice,   // KIND[:COUNT]
  kCount,    // a whole number
  kNumber,   // a finite number
  kSize,     // "64MiB", or the word in `choices` for 0
  kDuration,
  kMoney,      // 0.50
  kTextMap,    // a map of texts
  kTextList,   // a list of texts
  kCountList,  // a list of whole numbers
  kCommand,    // lines for a shell, or a list of arguments
  kEvery,      // "50 steps" or a duration
  kMetrics,    // a list of { name, regex }
};

// A value of a leaf, read by its kind.
struct Value {
  std::string text;
  std::uint64_t number = 0;  // count, bytes, steps
  double real = 0;
  Duration duration{0};
  Money money;
  bool is_list = false;  // of a command
  std::vector<std::string> texts;
  std::vector<std::uint64_t> numbers;
  std::vector<std::pair<std::string, std::string>> pairs;  // of a map; name and regex of metrics
};

struct Key {
  std::string_view path;  // workload.matmul.a
  ValueKind kind;
  std::string_view help;
  std::string_view choices = {};  // "auto|classical|strassen"
  // Bounds of a count, of a number, of the entries of a list of counts.
  double least = 0;
  double most = 0;
};

[[nodiscard]] std::span<const Key> known_keys();
[[nodiscard]] const Key* find_key(std::string_view path);
[[nodiscard]] bool is_section(const Key& key);
// Whether the key is `section` or lies below it.
[[nodiscard]] bool within(std::string_view path, std::string_view section);
// The shortest that reads back as the same number.
[[nodiscard]] std::string number_text(double value);

// Whether this release runs what the key is for.
[[nodiscard]] bool is_offered(std::string_view path, const Release& release);

// Text of a leaf to its value, by the key's kind. The message is one sentence that begins with the
// key.
[[nodiscard]] Result<Value> read_value(const Key& key, std::string_view text,
                                       const Release& release = kThisRelease);
// The same of a node: lists and maps too. `line` becomes that of what is wrong.
[[nodiscard]] Result<Value> read_node(const Key& key, const Node& node, int& line,
                                      const Release& release = kThisRelease);

// A sentence about a key that is not known: the answer to a key of another system, the release that
// a later key comes with, or the nearest known key. `path` is the whole path.
[[nodiscard]] std::string about_unknown_key(std::string_view path,
                                            const Release& release = kThisRelease);

// A sentence for a value that a later release takes; empty when it is none.
[[nodiscard]] std::string about_later_value(std::string_view path, std::string_view value,
                                            const Release& release = kThisRelease);

// "matmul", "matmul, train and exec".
[[nodiscard]] std::string workloads_of(const Release& release);

}  // namespace overwinter::spec
