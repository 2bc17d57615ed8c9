// Pages of lists (AIP-158) whose items have a stable key. A token carries the key of the last item
// shown, never a number, and a mark of the list that it belongs to.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace overwinter::runtime {

inline constexpr int kListPageMax = 1000;

struct Page {
  int size = kListPageMax;  // at most kListPageMax
  std::string after;        // the last key of the page before; empty: the first page
};

// `mark`: what list it is and for whom; a token of another is refused. INVALID_ARGUMENT with the
// field (page_size below zero, page_token). `size_unset`: what a size of 0 means.
[[nodiscard]] Result<Page> read_page(std::int32_t size, const std::string& token,
                                     const std::string& mark, int size_unset = kListPageMax);
[[nodiscard]] std::string page_token(const std::string& mark, const std::string& last);

}  // namespace overwinter::runtime
