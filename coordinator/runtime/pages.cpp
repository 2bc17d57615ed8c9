#include "coordinator/runtime/pages.h"

#include <algorithm>

#include "common/base/bytes.h"
#include "common/security/encoding.h"

namespace overwinter::runtime {
namespace {

constexpr std::size_t kTokenBytesMax = 1024;
constexpr std::size_t kMarkChars = 16;

std::string short_mark(const std::string& mark) {
  return to_hex(sha256(mark)).substr(0, kMarkChars);
}

}  // namespace

Result<Page> read_page(std::int32_t size, const std::string& token, const std::string& mark,
                       int size_unset) {
  if (size < 0) return fail(Code::kInvalidArgument, "page_size is not negative", "page_size");
  Page page;
  page.size = size == 0 ? size_unset : std::min(size, kListPageMax);
  if (token.empty()) return page;
  const auto text = token.size() <= kTokenBytesMax ? base64url_decode(token)
                                                   : Result<std::string>(fail(Status{}));
  if (!text || !text->starts_with(short_mark(mark)) || text->size() == kMarkChars) {
    return fail(Code::kInvalidArgument, "that page token does not belong to this list",
                "page_token", "list again without it");
  }
  page.after = text->substr(kMarkChars);
  return page;
}

std::string page_token(const std::string& mark, const std::string& last) {
  return base64url_encode(short_mark(mark) + last);
}

}  // namespace overwinter::runtime
