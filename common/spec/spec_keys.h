// Every key of a job file, once: the parser, --set, "did you mean" and the documentation read this
// list.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/money.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::spec {

enum class ValueKind {
  kSection,  // a map of further keys
  kText,
  kChoice,    // one of `choices`
  kCount,     // a whole number up to `most`
  kSize,      // "64MiB", or the word in `choices` for 0
  kDuration,  // "30m"
  kMoney,     // 0.50
  kLabels,    // a map of texts
};

// A value of a leaf, read by its kind.
struct Value {
  std::string text;
  std::uint64_t number = 0;  // count, bytes
  Duration duration{0};
  Money money;
};

struct Key {
  std::string_view path;  // workload.matmul.a
  ValueKind kind;
  std::string_view choices;  // "auto|classical"
  std::uint64_t most;        // of a count
  std::string_view help;
  void (*set)(v1::JobSpec& spec, const Value& value);  // null for sections and labels
};

[[nodiscard]] std::span<const Key> known_keys();
[[nodiscard]] const Key* find_key(std::string_view path);

// Text of a leaf to its value, by the key's kind. The message is one sentence that begins with the
// key.
[[nodiscard]] Result<Value> read_value(const Key& key, std::string_view text);

// A sentence about a key that is not known: the answer to a key of another system, the release that
// a later key comes with, or the nearest known key. `path` is the whole path.
[[nodiscard]] std::string about_unknown_key(std::string_view path);

// A sentence for a value that a later release takes; empty when it is none.
[[nodiscard]] std::string about_later_value(std::string_view path, std::string_view value);

}  // namespace overwinter::spec
