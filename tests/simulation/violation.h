// A broken rule: its name as in the table of invariants, and what was seen.
#pragma once

#include <stdexcept>
#include <string>

namespace overwinter::simulation {

class Violation : public std::runtime_error {
 public:
  Violation(std::string rule, const std::string& detail)
      : std::runtime_error(rule + ": " + detail), rule_(std::move(rule)) {}
  [[nodiscard]] const std::string& rule() const { return rule_; }

 private:
  std::string rule_;
};

}  // namespace overwinter::simulation
