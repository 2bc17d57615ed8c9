// Which library multiplies what, and how that is kept on disk: pure. Measured by ChosenGemm.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "worker/kernels/gemm.h"

namespace overwinter::worker {

enum class GemmLibrary : std::uint8_t { kOpenBlas, kOneDnn, kInt16, kWidened };
inline constexpr std::size_t kGemmLibraries = 4;

// Shapes that a library is about as fast on: at most 128 rows or columns of C; else by the
// multiplications m n k: up to 2^28 (645 x 645 x 645), up to 2^30 (1,024), above.
enum class GemmClass : std::uint8_t { kFewRows, kFewColumns, kSmall, kMiddle, kLarge };
inline constexpr std::size_t kGemmClasses = 5;
[[nodiscard]] GemmClass gemm_class(std::size_t m, std::size_t n, std::size_t k);

// "few-rows" …; "openblas", "onednn", "int16", "widened".
[[nodiscard]] std::string_view gemm_class_name(GemmClass c);
[[nodiscard]] std::string_view gemm_library_name(GemmLibrary library);

// Of one number of threads.
struct GemmChoice {
  struct Best {
    GemmLibrary library = GemmLibrary::kOpenBlas;
    double gflops = 0;  // 0: was not measured
    friend bool operator==(const Best&, const Best&) = default;
  };
  std::array<std::array<Best, kGemmClasses>, kGemmTypes> best{};
  // From which side on halving pays (plan::StrassenRule); 0: never, or it was not measured.
  std::uint64_t strassen_fp32_side = 0;
  std::uint64_t strassen_fp64_side = 0;

  [[nodiscard]] const Best& of(GemmType type, GemmClass c) const {
    return best[static_cast<std::size_t>(type)][static_cast<std::size_t>(c)];
  }
  [[nodiscard]] Best& of(GemmType type, GemmClass c) {
    return best[static_cast<std::size_t>(type)][static_cast<std::size_t>(c)];
  }
  friend bool operator==(const GemmChoice&, const GemmChoice&) = default;
};

// For a user whose bits may not depend on how a product is cut (a training): each type by one
// library, the one that is the fastest of most of the classes of squares (small, middle, large),
// weighed by their speeds.
[[nodiscard]] GemmChoice one_library(const GemmChoice& choice);

// All that was measured on a machine.
struct GemmChoices {
  std::string key;   // processor and libraries (gemm_key): with others it is measured again
  std::string core;  // OpenBLAS's kernels; empty: those that it picks itself
  std::map<std::uint32_t, GemmChoice> by_threads;
  friend bool operator==(const GemmChoices&, const GemmChoices&) = default;
};

// The file, version 2: text, a line each,
//
//   overwinter products 2
//   key AMD EPYC; OpenBLAS 0.3.21 … Zen …; oneDNN 2.6.3 isa 7
//   core Zen
//   threads 2
//   fp32 small onednn 121.50        (type, class, library, GFLOP/s)
//   …
//   strassen fp32 1024              (the least side; 0: never; then fp64)
//   sum 0123456789abcdef            (XXH3, 64 bits, of all bytes before this line)
//
// A line that is missing, twice there, unknown, or with a library that cannot have the type, a sum
// that is another, or more than 64 KiB: DATA_LOSS, and it is measured again.
inline constexpr std::size_t kGemmChoicesBytesMax = 64UL << 10U;
[[nodiscard]] std::string write_gemm_choices(const GemmChoices& choices);
[[nodiscard]] Result<GemmChoices> read_gemm_choices(std::string_view text);

}  // namespace overwinter::worker
