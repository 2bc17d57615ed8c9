#include "worker/gpus/gpu_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace overwinter::worker::gpus {
namespace {

constexpr std::size_t kKindMax = 40;
constexpr std::array<std::string_view, 5> kMakers = {"nvidia", "tesla", "quadro", "geforce",
                                                     "grid"};
// Say nothing without the word behind them.
constexpr std::array<std::string_view, 6> kFamilies = {"rtx", "gtx", "gt", "titan", "pro", "mx"};
// Another GPU than the one without it.
constexpr std::array<std::string_view, 5> kQualities = {"ti", "super", "ada", "laptop", "d"};

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, lower(word)) != words.end();
}

bool has_digit(std::string_view word) {
  return std::ranges::any_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c)) != 0)
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

std::string gpu_kind(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  auto at = words.begin();
  while (at != words.end() && is_one_of(*at, kMakers)) ++at;
  std::string kind;
  const auto families = at;
  for (; at != words.end() && is_one_of(*at, kFamilies); ++at) kind += *at;
  if (at != words.end()) {
    // "RTX A6000" is known as A6000; "RTX 4090" is not known as 4090.
    const bool by_itself = at - families == 1 && has_digit(*at) &&
                           std::isalpha(static_cast<unsigned char>(at->front())) != 0;
    if (by_itself) kind.clear();
    kind += *at++;
  }
  for (; at != words.end() && is_one_of(*at, kQualities); ++at) kind += *at;
  const std::string low = lower(kind);
  // Words that mean something else in a job file, and names of no GPU in particular.
  const bool no_name = kind.empty() || low == "any" || low == "cpu" || low == "gpu" ||
                       low == "graphics" || std::isdigit(static_cast<unsigned char>(low[0])) != 0;
  return no_name ? "gpu" : kind.substr(0, kKindMax);
}

}  // namespace overwinter::worker::gpus
