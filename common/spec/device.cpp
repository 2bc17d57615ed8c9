#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/spec/spec.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {

Result<DeviceWish> parse_device(std::string_view text) {
  constexpr std::uint32_t kCountMax = 64;
  const auto refuse = [&](const std::string& what) {
    return fail(Code::kInvalidArgument, what, "workers.device");
  };
  const std::size_t colon = text.find(':');
  DeviceWish wish;
  wish.kind = std::string(text.substr(0, colon));
  const bool is_word =
      !wish.kind.empty() && wish.kind.size() <= 40 &&
      std::all_of(wish.kind.begin(), wish.kind.end(), [](unsigned char c) {
        return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.');
      });
  if (!is_word)
    return refuse("must be KIND or KIND:COUNT (any, cpu, gpu, H100:8, 80GB:4), not \"" +
                  printable(text.substr(0, 60)) + "\".");
  // A word that is nearly a kind of ours would wait for a device that nobody has.
  for (std::string_view known : {"any", "cpu", "gpu"}) {
    std::string lower = wish.kind;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (wish.kind != known && (lower == known || lower == std::string(known) + "s"))
      return refuse("is \"" + wish.kind + "\"; did you mean \"" + std::string(known) + "\"?");
  }
  if (colon == std::string_view::npos) return wish;
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, parsed] =
      std::from_chars(digits.data(), digits.data() + digits.size(), wish.count);
  if (parsed != std::errc() || end != digits.data() + digits.size() || wish.count == 0 ||
      wish.count > kCountMax)
    return refuse("has a COUNT from 1 to 64 after the colon, not \"" +
                  printable(digits.substr(0, 60)) + "\".");
  return wish;
}

}  // namespace overwinter::spec
