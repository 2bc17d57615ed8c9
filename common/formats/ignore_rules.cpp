#include "common/formats/ignore_rules.h"

#include <fmt/core.h>

namespace overwinter::formats {

Result<IgnoreRules> IgnoreRules::parse(std::string_view text) {
  if (text.size() > kIgnoreBytesMax)
    return fail(Code::kInvalidArgument, fmt::format("an ignore file of {} bytes; at most {}",
                                                    text.size(), kIgnoreBytesMax));
  IgnoreRules rules;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    // A space at the end counts only behind a backslash.
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Result<Rule> rule = parse_rule(line, number);
    if (!rule) return fail(std::move(rule.error()));
    if (rule->tokens.empty()) continue;
    if (rules.rules_.size() == kIgnoreRulesMax)
      return fail(Code::kInvalidArgument,
                  fmt::format("an ignore file of more than {} patterns", kIgnoreRulesMax));
    rules.rules_.push_back(std::move(*rule));
  }
  return rules;
}

Result<IgnoreRules::Rule> IgnoreRules::parse_rule(std::string_view line, std::size_t number) {
  if (line.size() > kIgnorePatternMax)
    return fail(Code::kInvalidArgument, fmt::format("line {} of the ignore file is longer than {}",
                                                    number, kIgnorePatternMax));
  Rule rule;
  if (line.front() == '!') {
    rule.keeps = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    rule.folders_only = true;
    line.remove_suffix(1);
  }
  rule.from_root = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  rule.tokens = tokenize(line);
  return rule;
}

std::vector<IgnoreRules::Token> IgnoreRules::tokenize(std::string_view pattern) {
  using Kind = Token::Kind;
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = pattern.substr(i);
    const bool begins_part = i == 0 || pattern[i - 1] == '/';
    Token token;
    if (begins_part && rest.starts_with("**/")) {
      tokens.push_back({.kind = Kind::kFolders});
      tokens.push_back({.kind = Kind::kInFolder});
      i += 2;
      continue;
    }
    if (begins_part && rest == "**") {
      token.kind = Kind::kAll;
      ++i;
    } else if (rest.front() == '*') {
      token.kind = Kind::kStar;
    } else if (rest.front() == '?') {
      token.kind = Kind::kOne;
    } else if (rest.front() == '[') {
      const std::size_t end = read_set(pattern, i, token);
      if (end == 0)
        token.kind = Kind::kSet;  // nothing closes it: it matches nothing, as for git
      else
        i = end;
    } else if (rest.front() == '\\' && rest.size() > 1) {
      token.character = rest[1];
      ++i;
    } else {
      token.character = rest.front();
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// Where the set ends; 0: it does not.
std::size_t IgnoreRules::read_set(std::string_view pattern, std::size_t at, Token& token) {
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  std::string set;
  for (const std::size_t first = i; i < pattern.size(); ++i) {
    if (pattern[i] == ']' && i > first) {
      token.kind = Token::Kind::kSet;
      token.set = std::move(set);
      token.negated = negated;
      return i;
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    set += pattern[i];
    const bool range = i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']';
    if (range) i += 2;
    set += pattern[i];
  }
  return 0;
}

// A state and those that follow it without a character.
void IgnoreRules::reach(const std::vector<Token>& tokens, std::vector<char>& states,
                        std::size_t state) {
  using Kind = Token::Kind;
  while (true) {
    states[state] = 1;
    if (state == tokens.size()) return;
    const Kind kind = tokens[state].kind;
    if (kind == Kind::kStar || kind == Kind::kAll)
      ++state;
    else if (kind == Kind::kFolders)
      state += 2;  // past the state inside a folder's name
    else
      return;
  }
}

void IgnoreRules::advance(const std::vector<Token>& tokens, std::size_t state, char c,
                          std::vector<char>& next) {
  using Kind = Token::Kind;
  const Token& token = tokens[state];
  switch (token.kind) {
    case Kind::kCharacter:
      if (c == token.character) reach(tokens, next, state + 1);
      return;
    case Kind::kOne:
      if (c != '/') reach(tokens, next, state + 1);
      return;
    case Kind::kSet: {
      bool in = false;
      for (std::size_t i = 0; i + 1 < token.set.size(); i += 2)
        in = in || (static_cast<unsigned char>(token.set[i]) <= static_cast<unsigned char>(c) &&
                    static_cast<unsigned char>(c) <= static_cast<unsigned char>(token.set[i + 1]));
      if (c != '/' && in != token.negated) reach(tokens, next, state + 1);
      return;
    }
    case Kind::kStar:
      if (c != '/') reach(tokens, next, state);
      return;
    case Kind::kAll:
      reach(tokens, next, state);
      return;
    case Kind::kFolders:
      if (c != '/') next[state + 1] = 1;
      return;
    case Kind::kInFolder:
      if (c == '/')
        reach(tokens, next, state - 1);
      else
        next[state] = 1;
      return;
  }
}

bool IgnoreRules::matches(const std::vector<Token>& tokens, std::string_view text) {
  std::vector<char> now(tokens.size() + 1, 0);
  reach(tokens, now, 0);
  for (const char c : text) {
    std::vector<char> next(tokens.size() + 1, 0);
    for (std::size_t state = 0; state < tokens.size(); ++state)
      if (now[state] != 0) advance(tokens, state, c, next);
    now.swap(next);
  }
  return now[tokens.size()] != 0;
}

bool IgnoreRules::leaves_out(std::string_view path, bool is_folder) const {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->folders_only && !is_folder) continue;
    if (matches(rule->tokens, rule->from_root ? path : name)) return !rule->keeps;
  }
  return false;
}

}  // namespace overwinter::formats
