// The Python dictionary inside a .npy header, as far as matrices need it. Internal to this room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::formats {

struct NpyDictionary {
  std::string descriptor;
  bool structured = false;  // the descriptor is a list or a tuple: records, not numbers
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
};

// Parses exactly one literal {'descr': …, 'fortran_order': …, 'shape': (…)} in any key order, with
// white space around it. No recursion, no allocation beyond a few hundred bytes whatever the text
// says.
[[nodiscard]] Result<NpyDictionary> parse_npy_dictionary(std::string_view text);

// At most 40 characters of foreign text between apostrophes, unprintable ones as '?'.
[[nodiscard]] std::string quote_foreign(std::string_view text);

}  // namespace overwinter::formats
