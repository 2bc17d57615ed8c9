// A broken rule: its name as in the table of invariants, and what was seen.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

namespace overwinter::simulation {

class Violation : public std::runtime_error {
 public:
  Violation(std::string rule, const std::string& detail)
      : std::runtime_error(rule + ": " + detail), rule_(std::move(rule)) {}
  [[nodiscard]] const std::string& rule() const { return rule_; }

 private:
  std::string rule_;
};

// `detail` is text, or a function that makes it: called only when the rule is broken.
template <class Detail>
inline void require(bool holds, const char* rule, const Detail& detail) {
  if (holds) [[likely]]
    return;
  if constexpr (std::is_invocable_v<const Detail&>) {
    throw Violation(rule, detail());
  } else {
    throw Violation(rule, detail);
  }
}

}  // namespace overwinter::simulation
