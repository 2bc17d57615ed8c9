#include "worker/kernels/gemm_choice.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace overwinter::worker {
namespace {

constexpr std::string_view kHead = "overwinter products 2";
constexpr std::size_t kFew = 128;
// Threads of a device in one file: as many as a machine may have been split into.
constexpr std::size_t kThreadCountsMax = 64;

std::uint64_t sum_of(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

bool may_have(GemmLibrary library, GemmType type) {
  const bool wide = type == GemmType::kFp32 || type == GemmType::kFp64;
  switch (library) {
    case GemmLibrary::kOpenBlas:
      return wide;
    case GemmLibrary::kOneDnn:
      return type != GemmType::kFp64;
    case GemmLibrary::kInt16:
      return type == GemmType::kInt8;
    case GemmLibrary::kWidened:
      return !wide;
  }
  return false;
}

template <class Enum>
std::optional<Enum> named(std::string_view name, std::size_t count,
                          std::string_view (*name_of)(Enum)) {
  for (std::size_t i = 0; i < count; ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

// The words of a line; a double space makes an empty one, which is no name.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

template <class Number>
bool read_number(std::string_view text, Number& to) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), to);
  return failed == std::errc() && end == text.data() + text.size();
}

// Reads line by line; false: no such file.
class ChoicesReader {
 public:
  explicit ChoicesReader(std::string_view text) : rest_(text) {}

  bool read(GemmChoices& to) {
    if (line() != kHead || !field("key ", to.key) || !field("core ", to.core)) return false;
    while (rest_.starts_with("threads ")) {
      std::uint32_t threads = 0;
      if (!read_number(line().substr(8), threads) || threads == 0) return false;
      if (to.by_threads.size() == kThreadCountsMax) return false;
      const auto [at, fresh] = to.by_threads.emplace(threads, GemmChoice());
      if (!fresh || !read_choice(at->second)) return false;
    }
    return rest_.empty();
  }

 private:
  std::string_view line() {
    const std::size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return std::exchange(rest_, {});
    const std::string_view one = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return one;
  }

  bool field(std::string_view name, std::string& to) {
    const std::string_view one = line();
    if (!one.starts_with(name)) return false;
    to = one.substr(name.size());
    return true;
  }

  bool read_choice(GemmChoice& to) {
    std::set<std::pair<GemmType, GemmClass>> seen;
    while (seen.size() < kGemmTypes * kGemmClasses) {
      const std::vector<std::string_view> words = words_of(line());
      if (words.size() != 4) return false;
      const auto type = named<GemmType>(words[0], kGemmTypes, gemm_type_name);
      const auto shape = named<GemmClass>(words[1], kGemmClasses, gemm_class_name);
      const auto library = named<GemmLibrary>(words[2], kGemmLibraries, gemm_library_name);
      if (!type || !shape || !library || !may_have(*library, *type)) return false;
      double gflops = 0;
      if (!read_number(words[3], gflops) || !std::isfinite(gflops) || gflops < 0) return false;
      if (!seen.emplace(*type, *shape).second) return false;
      to.of(*type, *shape) = {*library, gflops};
    }
    return read_side("fp32", to.strassen_fp32_side) && read_side("fp64", to.strassen_fp64_side);
  }

  bool read_side(std::string_view type, std::uint64_t& to) {
    const std::vector<std::string_view> words = words_of(line());
    return words.size() == 3 && words[0] == "strassen" && words[1] == type &&
           read_number(words[2], to);
  }

  std::string_view rest_;
};

}  // namespace

GemmClass gemm_class(std::size_t m, std::size_t n, std::size_t k) {
  if (m <= kFew) return GemmClass::kFewRows;
  if (n <= kFew) return GemmClass::kFewColumns;
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return work <= 0x1p28   ? GemmClass::kSmall
         : work <= 0x1p30 ? GemmClass::kMiddle
                          : GemmClass::kLarge;
}

std::string_view gemm_class_name(GemmClass c) {
  switch (c) {
    case GemmClass::kFewRows:
      return "few-rows";
    case GemmClass::kFewColumns:
      return "few-columns";
    case GemmClass::kSmall:
      return "small";
    case GemmClass::kMiddle:
      return "middle";
    case GemmClass::kLarge:
      return "large";
  }
  return "";
}

std::string_view gemm_library_name(GemmLibrary library) {
  switch (library) {
    case GemmLibrary::kOpenBlas:
      return "openblas";
    case GemmLibrary::kOneDnn:
      return "onednn";
    case GemmLibrary::kInt16:
      return "int16";
    case GemmLibrary::kWidened:
      return "widened";
  }
  return "";
}

std::string write_gemm_choices(const GemmChoices& choices) {
  std::string text = fmt::format("{}\nkey {}\ncore {}\n", kHead, choices.key, choices.core);
  for (const auto& [threads, choice] : choices.by_threads) {
    text += fmt::format("threads {}\n", threads);
    for (std::size_t type = 0; type < kGemmTypes; ++type) {
      for (std::size_t shape = 0; shape < kGemmClasses; ++shape) {
        const GemmChoice::Best& best = choice.best[type][shape];
        text += fmt::format("{} {} {} {:.2f}\n", gemm_type_name(static_cast<GemmType>(type)),
                            gemm_class_name(static_cast<GemmClass>(shape)),
                            gemm_library_name(best.library), best.gflops);
      }
    }
    text += fmt::format("strassen fp32 {}\nstrassen fp64 {}\n", choice.strassen_fp32_side,
                        choice.strassen_fp64_side);
  }
  return text + fmt::format("sum {:016x}\n", sum_of(text));
}

Result<GemmChoices> read_gemm_choices(std::string_view text) {
  constexpr std::size_t kSumLine = 4 + 16 + 1;
  GemmChoices choices;
  const bool whole =
      text.size() > kSumLine && text.size() <= kGemmChoicesBytesMax &&
      text.substr(text.size() - kSumLine) ==
          fmt::format("sum {:016x}\n", sum_of(text.substr(0, text.size() - kSumLine)));
  if (!whole || !ChoicesReader(text.substr(0, text.size() - kSumLine)).read(choices)) {
    return fail(Code::kDataLoss, "the file of measured products is damaged");
  }
  return choices;
}

GemmChoice one_library(const GemmChoice& choice) {
  GemmChoice one = choice;
  for (std::size_t type = 0; type < kGemmTypes; ++type) {
    // A class names its fastest library alone, so the library that is named for more speed wins.
    std::array<double, kGemmLibraries> speed{};
    const auto& best = choice.best[type];
    for (const GemmClass c : {GemmClass::kSmall, GemmClass::kMiddle, GemmClass::kLarge}) {
      const GemmChoice::Best& fastest = best[static_cast<std::size_t>(c)];
      speed[static_cast<std::size_t>(fastest.library)] += fastest.gflops;
    }
    GemmChoice::Best most = best[static_cast<std::size_t>(GemmClass::kSmall)];
    for (std::size_t library = 0; library < kGemmLibraries; ++library) {
      if (speed[library] > speed[static_cast<std::size_t>(most.library)])
        most = {static_cast<GemmLibrary>(library), 0};
    }
    one.best[type].fill(most);
  }
  return one;
}

}  // namespace overwinter::worker
