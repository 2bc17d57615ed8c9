#include "worker/exec/metric_pattern.h"

#include <fmt/core.h>

#include <algorithm>

namespace overwinter::worker::exec {
namespace {

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kRepeatMax = 100;

using Set = std::bitset<256>;

void add_range(Set& set, unsigned char from, unsigned char to) {
  for (unsigned c = from; c <= to; ++c) set.set(c);
}

// \d and the like; nothing for other letters.
std::optional<Set> class_of(char letter) {
  Set set;
  switch (letter) {
    case 'd':
    case 'D':
      add_range(set, '0', '9');
      break;
    case 'w':
    case 'W':
      add_range(set, '0', '9');
      add_range(set, 'a', 'z');
      add_range(set, 'A', 'Z');
      set.set('_');
      break;
    case 's':
    case 'S':
      for (const char c : {' ', '\t', '\r', '\n', '\v', '\f'})
        set.set(static_cast<unsigned char>(c));
      break;
    default:
      return std::nullopt;
  }
  return letter < 'a' ? ~set : set;
}

char escaped(char letter) {
  switch (letter) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    default:
      return letter;
  }
}

bool is_word(std::string_view line, std::size_t at) {
  static const Set word = *class_of('w');
  return at < line.size() && word.test(static_cast<unsigned char>(line[at]));
}

}  // namespace

// Recursive descent, bounded by depth; each function appends the steps of what it has read.
class PatternParser {
 public:
  using Step = MetricPattern::Step;
  using Steps = std::vector<Step>;

  explicit PatternParser(std::string_view pattern) : pattern_(pattern) {}

  Result<MetricPattern> parse() {
    if (pattern_.size() > kPatternBytesMax)
      return fail(Code::kInvalidArgument,
                  fmt::format("a pattern of more than {} bytes", kPatternBytesMax));
    MetricPattern out;
    out.steps_ = alternatives(0);
    if (error_.empty() && at_ < pattern_.size()) wrong("a ) without its (");
    out.steps_.push_back({.kind = Step::Kind::kMatch});
    if (error_.empty() && out.steps_.size() > kPatternStepsMax)
      wrong("a pattern that grows too large");
    if (!error_.empty()) return fail(Code::kInvalidArgument, error_);
    out.has_group_ = groups_ > 0;
    return out;
  }

 private:
  void wrong(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("{} at character {} of the pattern", what, at_ + 1);
    at_ = pattern_.size();
  }
  [[nodiscard]] bool more() const { return at_ < pattern_.size(); }
  [[nodiscard]] bool next_is(char c) const { return more() && pattern_[at_] == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }

  // Steps name each other by number: what is put behind something else is shifted.
  static void append(Steps& to, const Steps& more) {
    const std::size_t base = to.size();
    for (Step step : more) {
      if (step.kind == Step::Kind::kFork || step.kind == Step::Kind::kJump) step.to += base;
      if (step.kind == Step::Kind::kFork) step.other += base;
      to.push_back(step);
    }
  }

  Steps alternatives(std::size_t depth) {
    if (depth > kDepthMax) wrong("groups too deep");
    Steps left = sequence(depth);
    if (!take('|')) return left;
    const Steps right = alternatives(depth + 1);
    Steps out{{.kind = Step::Kind::kFork, .to = 1, .other = left.size() + 2}};
    append(out, left);
    out.push_back({.kind = Step::Kind::kJump, .to = left.size() + right.size() + 2});
    append(out, right);
    return out;
  }

  Steps sequence(std::size_t depth) {
    Steps out;
    while (more() && !next_is('|') && !next_is(')') && out.size() <= kPatternStepsMax)
      append(out, repeated(depth));
    if (out.size() > kPatternStepsMax) wrong("a pattern that grows too large");
    return out;
  }

  Steps repeated(std::size_t depth) {
    Steps out = atom(depth);
    while (more()) {
      std::size_t least = 0;
      std::size_t most = 0;  // 0: no end
      if (take('*')) {
      } else if (take('+')) {
        least = 1;
      } else if (take('?')) {
        most = 1;
      } else if (next_is('{') && is_count()) {
        if (!count(least, most)) return out;
      } else {
        return out;
      }
      out = repeat(out, least, most, !take('?'));
      if (out.size() > kPatternStepsMax) {
        wrong("a pattern that grows too large");
        return {};
      }
    }
    return out;
  }

  [[nodiscard]] bool is_count() const {
    return at_ + 1 < pattern_.size() && pattern_[at_ + 1] >= '0' && pattern_[at_ + 1] <= '9';
  }

  std::size_t number() {
    std::size_t value = 0;
    while (more() && pattern_[at_] >= '0' && pattern_[at_] <= '9' && value <= kRepeatMax)
      value = value * 10 + static_cast<std::size_t>(pattern_[at_++] - '0');
    return value;
  }

  bool count(std::size_t& least, std::size_t& most) {
    take('{');
    least = most = number();
    if (take(',')) most = next_is('}') ? 0 : number();
    const bool no_end = most == 0 && pattern_[at_ - 1] == ',';
    if (!take('}') || least > kRepeatMax || most > kRepeatMax ||
        (!no_end && most < std::max<std::size_t>(least, 1))) {
      wrong(fmt::format("a repetition that is not {{n}} or {{n,m}} with 1 to {}", kRepeatMax));
      return false;
    }
    return true;
  }

  static Steps repeat(const Steps& one, std::size_t least, std::size_t most, bool greedy) {
    Steps out;
    const auto fork = [greedy](std::size_t into, std::size_t past) {
      Step step{.kind = Step::Kind::kFork, .to = into, .other = past};
      if (!greedy) std::swap(step.to, step.other);
      return step;
    };
    for (std::size_t i = 0; i < least && out.size() <= kPatternStepsMax; ++i) append(out, one);
    if (most == 0) {
      const std::size_t begin = out.size();
      out.push_back(fork(begin + 1, begin + one.size() + 2));
      append(out, one);
      out.push_back({.kind = Step::Kind::kJump, .to = begin});
      return out;
    }
    for (std::size_t i = least; i < most && out.size() <= kPatternStepsMax; ++i) {
      const std::size_t begin = out.size();
      out.push_back(fork(begin + 1, begin + (most - i) * (one.size() + 1)));
      append(out, one);
    }
    return out;
  }

  Steps atom(std::size_t depth) {
    const char c = pattern_[at_++];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return {{.kind = Step::Kind::kSet, .set = bracket()}};
      case '^':
        return {{.kind = Step::Kind::kBegin}};
      case '$':
        return {{.kind = Step::Kind::kEnd}};
      case '.':
        return {{.kind = Step::Kind::kSet, .set = ~Set()}};
      case '\\':
        return escape();
      case '*':
      case '+':
      case '?':
        wrong("nothing to repeat");
        return {};
      default:
        return {literal(c)};
    }
  }

  static Step literal(char c) {
    Step step{.kind = Step::Kind::kSet};
    step.set.set(static_cast<unsigned char>(c));
    return step;
  }

  Steps escape() {
    if (!more()) {
      wrong("a backslash at the end");
      return {};
    }
    const char c = pattern_[at_++];
    if (c == 'b') return {{.kind = Step::Kind::kBoundary}};
    if (const auto set = class_of(c)) return {{.kind = Step::Kind::kSet, .set = *set}};
    if (c >= '0' && c <= '9') {
      wrong("a back reference, which is not taken");
      return {};
    }
    return {literal(escaped(c))};
  }

  Steps group(std::size_t depth) {
    bool saves = true;
    if (take('?')) {
      if (!take(':')) {
        wrong("a (? that is not (?:");
        return {};
      }
      saves = false;
    }
    const bool first = saves && groups_++ == 0;
    Steps out;
    if (first) out.push_back({.kind = Step::Kind::kSave, .other = 0});
    append(out, alternatives(depth + 1));
    if (first) out.push_back({.kind = Step::Kind::kSave, .other = 1});
    if (error_.empty() && !take(')')) wrong("a ( without its )");
    return out;
  }

  Set bracket() {
    Set set;
    const bool negated = take('^');
    for (bool first = true; more(); first = false) {
      char c = pattern_[at_++];
      if (c == ']' && !first) return negated ? ~set : set;
      if (c == '\\' && more()) {
        c = pattern_[at_++];
        if (const auto of = class_of(c)) {
          set |= *of;
          continue;
        }
        c = escaped(c);
      }
      char to = c;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        to = pattern_[at_ + 1];
        at_ += 2;
        if (to == '\\' && more()) to = escaped(pattern_[at_++]);
      }
      add_range(set, static_cast<unsigned char>(c), static_cast<unsigned char>(to));
    }
    wrong("a [ without its ]");
    return set;
  }

  const std::string_view pattern_;
  std::size_t at_ = 0;
  std::size_t groups_ = 0;
  std::string error_;
};

Result<MetricPattern> MetricPattern::parse(std::string_view pattern) {
  return PatternParser(pattern).parse();
}

// Adds a thread and all that it reaches without a character, preferred ones first; a step is taken
// once for each character, which is what bounds the time.
void MetricPattern::follow(Threads& threads, Thread thread, std::string_view line,
                           std::size_t at) const {
  std::vector<Thread> open{thread};
  while (!open.empty()) {
    thread = open.back();
    open.pop_back();
    if (threads.seen[thread.step] == threads.generation) continue;
    threads.seen[thread.step] = threads.generation;
    const Step& step = steps_[thread.step];
    Thread next = thread;
    next.step = thread.step + 1;
    switch (step.kind) {
      case Step::Kind::kFork:
        next.step = step.other;
        open.push_back(next);
        next.step = step.to;
        break;
      case Step::Kind::kJump:
        next.step = step.to;
        break;
      case Step::Kind::kSave:
        next.group[step.other] = at;
        break;
      case Step::Kind::kBegin:
        if (at != 0) continue;
        break;
      case Step::Kind::kEnd:
        if (at != line.size()) continue;
        break;
      case Step::Kind::kBoundary:
        if ((at > 0 && is_word(line, at - 1)) == is_word(line, at)) continue;
        break;
      case Step::Kind::kSet:
      case Step::Kind::kMatch:
        threads.list.push_back(thread);
        continue;
    }
    open.push_back(next);
  }
}

std::optional<std::string_view> MetricPattern::find(std::string_view line) const {
  line = line.substr(0, kPatternLineMax);
  Threads now;
  Threads next;
  now.seen.resize(steps_.size(), 0);
  next.seen.resize(steps_.size(), 0);
  now.generation = next.generation = 1;
  std::optional<Thread> found;
  std::size_t found_end = 0;
  for (std::size_t at = 0; at <= line.size(); ++at) {
    // One more beginning, after all that began before; none once something has matched.
    if (!found) follow(now, {.step = 0, .from = at}, line, at);
    if (found && now.list.empty()) break;
    next.list.clear();
    ++next.generation;
    for (const Thread& thread : now.list) {
      if (steps_[thread.step].kind == Step::Kind::kMatch) {
        found = thread;
        found_end = at;
        break;  // what comes after is less preferred
      }
      if (at < line.size() && steps_[thread.step].set.test(static_cast<unsigned char>(line[at]))) {
        Thread moved = thread;
        moved.step = thread.step + 1;
        follow(next, moved, line, at + 1);
      }
    }
    std::swap(now, next);
  }
  if (!found) return std::nullopt;
  if (!has_group_) return line.substr(found->from, found_end - found->from);
  if (found->group[0] == std::string::npos || found->group[1] == std::string::npos ||
      found->group[1] < found->group[0])
    return std::nullopt;
  return line.substr(found->group[0], found->group[1] - found->group[0]);
}

}  // namespace overwinter::worker::exec
