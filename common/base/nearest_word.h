// How far two words are apart, for "did you mean".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace overwinter {

// Edits (insert, delete, replace, swap of neighbours) from one word to the other: the optimal
// string alignment distance. Words are cut at 40 bytes.
[[nodiscard]] std::size_t word_edits(std::string_view a, std::string_view b);

// The word of `known` with the fewest edits from `word`, the first of several; empty when it is
// further than a third of the word (at least two edits).
[[nodiscard]] std::string nearest_word(std::string_view word,
                                       const std::vector<std::string>& known);

}  // namespace overwinter
