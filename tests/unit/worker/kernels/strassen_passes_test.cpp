// Each pass of each instruction set against three loops.
#include "worker/kernels/strassen_passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace overwinter::worker {
namespace {

template <class T>
using Sum = std::function<T(const T* x)>;

template <class T>
struct PassCase {
  StrassenPass<T> pass;
  std::size_t in;
  std::vector<Sum<T>> sums;
};

template <class T>
std::vector<PassCase<T>> cases_of(const StrassenPasses<T>& passes) {
  return {
      {passes.left,
       3,
       {[](const T* x) { return x[0] + x[1]; }, [](const T* x) { return (x[0] + x[1]) - x[2]; },
        [](const T* x) { return x[2] - x[0]; }}},
      {passes.right,
       3,
       {[](const T* x) { return x[0] - x[1]; }, [](const T* x) { return x[2] - (x[0] - x[1]); },
        [](const T* x) { return x[2] - x[0]; }}},
      {passes.minus, 2, {[](const T* x) { return x[0] - x[1]; }}},
      {passes.copy, 1, {[](const T* x) { return x[0]; }}},
      {passes.plus, 2, {[](const T* x) { return x[0] + x[1]; }}},
      {passes.both, 2, {[](const T* x) { return x[0]; }, [](const T* x) { return x[0] + x[1]; }}},
  };
}

// Blocks with gaps behind their rows; `offset` elements off a cache line.
template <class T>
struct Matrix {
  std::vector<T> all;
  std::size_t stride = 0;
  T* data = nullptr;

  Matrix(std::size_t rows, std::size_t columns, std::size_t offset, std::mt19937& random)
      : all((rows + 1) * ((columns + 31) / 16 * 16) + 32), stride((columns + 31) / 16 * 16) {
    for (T& x : all) x = std::uniform_real_distribution<T>(-1, 1)(random);
    const auto low = reinterpret_cast<std::uintptr_t>(all.data()) % 64 / sizeof(T);
    data = all.data() + (64 / sizeof(T) - low) + offset;
  }
};

template <class T>
void passes_are_right(KernelLevel level) {
  std::mt19937 random(3);
  const StrassenPasses<T>& passes = strassen_passes<T>(level);
  for (const PassCase<T>& one : cases_of<T>(passes)) {
    for (const std::size_t columns : {1UL, 15UL, 16UL, 53UL}) {
      for (const std::size_t offset : {0UL, 3UL}) {
        for (const auto run : {one.pass.plain, one.pass.kept}) {
          if (run == nullptr) continue;
          const std::size_t rows = 3;
          std::vector<Matrix<T>> x;
          std::vector<Matrix<T>> y;
          for (std::size_t i = 0; i < one.in; ++i) x.emplace_back(rows, columns, offset, random);
          for (std::size_t i = 0; i < one.sums.size(); ++i)
            y.emplace_back(rows, columns, offset, random);
          const std::vector<Matrix<T>> before = y;
          std::vector<StrassenBlock<T>> in;
          std::vector<StrassenTarget<T>> out;
          for (const auto& m : x) in.push_back({m.data, m.stride});
          for (auto& m : y) out.push_back({m.data, m.stride});
          const bool kept = run == one.pass.kept;
          run(rows, columns, in.data(), out.data(), T(-0.5));
          for (std::size_t o = 0; o < y.size(); ++o) {
            const std::size_t begin = static_cast<std::size_t>(y[o].data - y[o].all.data());
            for (std::size_t i = 0; i < y[o].all.size(); ++i) {
              const std::size_t at = i - begin;
              const bool gap = i < begin || at % y[o].stride >= columns || at / y[o].stride >= rows;
              T want = before[o].all[i];
              if (!gap) {
                T values[3] = {};
                for (std::size_t f = 0; f < one.in; ++f)
                  values[f] = x[f].data[at / y[o].stride * x[f].stride + at % y[o].stride];
                want = one.sums[o](values) + (kept ? T(-0.5) * want : T(0));
              }
              // A kept sum may be rounded once or twice.
              const T off = kept && !gap ? 4 * std::numeric_limits<T>::epsilon() : T(0);
              ASSERT_LE(std::abs(y[o].all[i] - want), off) << o << " " << i;
            }
          }
        }
      }
    }
  }
}

template <class T>
void a_target_may_be_a_block(KernelLevel level) {
  std::mt19937 random(4);
  Matrix<T> a(2, 40, 0, random);
  Matrix<T> b(2, 40, 0, random);
  const Matrix<T> before = b;
  const StrassenBlock<T> in[] = {{a.data, a.stride}, {b.data, b.stride}};
  const StrassenTarget<T> out[] = {{b.data, b.stride}};
  strassen_passes<T>(level).minus.plain(2, 40, in, out, 0);
  EXPECT_EQ(b.data[b.stride + 39],
            a.data[a.stride + 39] - b.all[0] * 0 -
                before.all[static_cast<std::size_t>(b.data - b.all.data()) + b.stride + 39]);
}

template <class T>
void the_largest_is_found(KernelLevel level) {
  const auto largest = strassen_passes<T>(level).largest;
  for (std::size_t at = 0; at < 100; ++at) {
    std::vector<T> x(100, T(0.5));
    x[at] = T(-7);
    EXPECT_EQ(largest(2, 50, {x.data(), 50}), T(7));
    x[at] = -std::numeric_limits<T>::infinity();
    EXPECT_TRUE(std::isinf(largest(2, 50, {x.data(), 50})));
    x[at] = -std::numeric_limits<T>::quiet_NaN();
    EXPECT_TRUE(std::isnan(largest(2, 50, {x.data(), 50})));
    EXPECT_EQ(largest(2, 50, {x.data(), 50}) == 0, false);
  }
  EXPECT_EQ(largest(0, 5, {nullptr, 5}), T(0));
}

TEST(StrassenPasses, EveryInstructionSetAddsAsTheLoopsDo) {
  for (const auto level : {KernelLevel::kBaseline, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
    if (level > best_kernel_level()) continue;
    passes_are_right<float>(level);
    passes_are_right<double>(level);
    a_target_may_be_a_block<float>(level);
    a_target_may_be_a_block<double>(level);
    the_largest_is_found<float>(level);
    the_largest_is_found<double>(level);
  }
}

}  // namespace
}  // namespace overwinter::worker
