// Which paths a workdir leaves out: the lines of .overwinterignore or .gitignore. Of gitignore's
// language: comments (#), *, ?, [a-z] and [!a-z], ** as a whole component, a trailing / (folders
// alone), a leading or inner / (from the root), ! (not left out after all), backslash before a
// character. The last line that matches decides; below a folder that is left out nothing comes
// back. Only the root's file is read. Matching takes time in proportion to pattern times path.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::formats {

inline constexpr std::size_t kIgnoreBytesMax = 256 * 1024;
inline constexpr std::size_t kIgnoreRulesMax = 4096;
inline constexpr std::size_t kIgnorePatternMax = 1024;

class IgnoreRules {
 public:
  IgnoreRules() = default;  // leaves nothing out
  // INVALID_ARGUMENT beyond the bounds above, with the line.
  [[nodiscard]] static Result<IgnoreRules> parse(std::string_view text);

  // `path` is relative to the root, without "." and "..", parts separated by "/". The caller asks
  // for folders first and does not descend into those that are left out.
  [[nodiscard]] bool leaves_out(std::string_view path, bool is_folder) const;

 private:
  struct Token {
    enum class Kind : unsigned char { kCharacter, kOne, kSet, kStar, kAll, kFolders, kInFolder };
    Kind kind = Kind::kCharacter;
    char character = 0;
    std::string set{};  // pairs: from, to
    bool negated = false;
  };
  struct Rule {
    std::vector<Token> tokens;
    bool keeps = false;         // !
    bool folders_only = false;  // trailing /
    bool from_root = false;     // else matched against the last part alone
  };

  [[nodiscard]] static Result<Rule> parse_rule(std::string_view line, std::size_t number);
  [[nodiscard]] static std::vector<Token> tokenize(std::string_view pattern);
  [[nodiscard]] static std::size_t read_set(std::string_view pattern, std::size_t at, Token& token);
  [[nodiscard]] static bool matches(const std::vector<Token>& tokens, std::string_view text);
  static void reach(const std::vector<Token>& tokens, std::vector<char>& states, std::size_t state);
  static void advance(const std::vector<Token>& tokens, std::size_t state, char c,
                      std::vector<char>& next);

  std::vector<Rule> rules_;
};

}  // namespace overwinter::formats
