#include "common/security/random.h"

#include <sys/random.h>

#include <cerrno>
#include <vector>

#include "common/base/check.h"

namespace overwinter {

void fill_random(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    check(got > 0, "the kernel gives random bytes");
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::string random_id(std::size_t length) {
  static constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
  static_assert(sizeof kAlphabet == 33);
  std::vector<std::uint8_t> bytes(length);
  fill_random(bytes);
  std::string id;
  id.reserve(length);
  for (const std::uint8_t byte : bytes) id.push_back(kAlphabet[byte & 31U]);
  return id;
}

}  // namespace overwinter
