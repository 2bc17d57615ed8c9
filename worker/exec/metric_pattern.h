// A regular expression of a job file's `metrics`, found in a line in time that grows with line
// times pattern and no worse, whatever either says (R. Cox, "Regular expression matching: the
// virtual machine approach", 2009; std::regex goes back and forth, for ever if a line wants it, and
// overflows its stack). The language is that of common use without back references and look-around:
//   . [a-z] [^a-z] \d \w \s \D \W \S \b ^ $ ( ) (?: ) | * + ? {n} {n,m} and their lazy forms
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker::exec {

inline constexpr std::size_t kPatternBytesMax = 512;
inline constexpr std::size_t kPatternStepsMax = 512;  // instructions it may become
inline constexpr std::size_t kPatternLineMax = 4096;  // of a line, that much is looked at

// Immutable; matching is thread-safe.
class MetricPattern {
 public:
  // INVALID_ARGUMENT: what is wrong and where.
  [[nodiscard]] static Result<MetricPattern> parse(std::string_view pattern);

  // The first group of the leftmost match, or the whole match where it has no group; nothing: no
  // match, or the group took no part.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view line) const;

 private:
  friend class PatternParser;
  struct Step {
    enum class Kind : std::uint8_t { kSet, kFork, kJump, kSave, kBegin, kEnd, kBoundary, kMatch };
    Kind kind = Kind::kMatch;
    std::size_t to = 0;     // kFork: preferred; kJump
    std::size_t other = 0;  // kFork; kSave: which end
    std::bitset<256> set{};
  };
  struct Thread {
    std::size_t step = 0;
    std::size_t from = 0;  // of the whole match
    std::size_t group[2] = {std::string::npos, std::string::npos};
  };
  struct Threads {
    std::vector<Thread> list;
    std::vector<std::size_t> seen;  // generation of each step
    std::size_t generation = 0;
  };
  void follow(Threads& threads, Thread thread, std::string_view line, std::size_t at) const;

  std::vector<Step> steps_;
  bool has_group_ = false;
};

}  // namespace overwinter::worker::exec
