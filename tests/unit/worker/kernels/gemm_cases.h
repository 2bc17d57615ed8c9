// Products with seeds, and how a backend is held against the twin.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "worker/kernels/reference_gemm.h"

namespace overwinter::worker {

struct GemmShape {
  std::size_t m, n, k;
};

// Single rows, columns and terms, sizes that end blocks unevenly, none at all.
inline std::vector<GemmShape> gemm_shapes() {
  return {{1, 1, 1},   {1, 77, 40},    {70, 1, 33},   {64, 64, 64},  {129, 65, 257},
          {3, 500, 7}, {1030, 40, 20}, {40, 40, 0},   {0, 5, 5},     {5, 0, 5},
          {97, 33, 1}, {1, 1, 300},    {33, 70, 128}, {16, 48, 1100}};
}

// int8: the largest size drawn. Oracles that are exact below it alone take less.
inline constexpr int kInt8Whole = 128;

template <class T>
T drawn(std::mt19937& random, int int8_max) {
  if constexpr (std::is_same_v<T, std::int8_t>) {
    const int low = int8_max == kInt8Whole ? -128 : -int8_max;
    const int high = int8_max == kInt8Whole ? 127 : int8_max;
    return static_cast<T>(std::uniform_int_distribution<int>(low, high)(random));
  } else {
    const auto x = std::uniform_real_distribution<double>(-1, 1)(random);
    if constexpr (std::is_same_v<T, BFloat16>) return to_bfloat16(static_cast<float>(x));
    if constexpr (std::is_same_v<T, Float16>) return to_float16(static_cast<float>(x));
    if constexpr (std::is_floating_point_v<T>) return static_cast<T>(x);
  }
}

inline double as_double(BFloat16 x) {
  return static_cast<double>(to_float(x));
}
inline double as_double(Float16 x) {
  return static_cast<double>(to_float(x));
}
template <class T>
double as_double(T x) {
  return static_cast<double>(x);
}

// One product with gaps in every stride, owned.
template <class T>
struct GemmCase {
  using Sum = typename Gemm<T>::Sum;
  Gemm<T> p;
  std::vector<T> a;
  std::vector<T> b;
  std::vector<Sum> c;

  GemmCase(GemmShape s, bool transpose_a, bool transpose_b, std::uint32_t seed,
           int int8_max = kInt8Whole) {
    std::mt19937 random(seed);
    p.transpose_a = transpose_a;
    p.transpose_b = transpose_b;
    p.m = s.m;
    p.n = s.n;
    p.k = s.k;
    p.lda = (transpose_a ? s.m : s.k) + 3;
    p.ldb = (transpose_b ? s.k : s.n) + 5;
    p.ldc = s.n + 2;
    a.resize(p.lda * std::max<std::size_t>(transpose_a ? s.k : s.m, 1));
    b.resize(p.ldb * std::max<std::size_t>(transpose_b ? s.n : s.k, 1));
    c.resize(p.ldc * std::max<std::size_t>(s.m, 1));
    for (T& x : a) x = drawn<T>(random, int8_max);
    for (T& x : b) x = drawn<T>(random, int8_max);
    for (Sum& x : c) {
      if constexpr (std::is_same_v<Sum, std::int32_t>) {
        x = static_cast<std::int32_t>(random());
      } else {
        x = drawn<Sum>(random, int8_max);
      }
    }
    p.a = a.data();
    p.b = b.data();
    p.c = c.data();
  }
};

// |alpha| |A| |B| + |beta| |C before|, row-major with C's stride.
template <class T>
std::vector<double> sizes_of(const GemmCase<T>& of) {
  const auto absolute = [](const auto& from) {
    std::vector<double> to;
    for (const auto x : from) to.push_back(std::abs(as_double(x)));
    return to;
  };
  const std::vector<double> a = absolute(of.a);
  const std::vector<double> b = absolute(of.b);
  std::vector<double> c = absolute(of.c);
  Gemm<double> p;
  p.transpose_a = of.p.transpose_a;
  p.transpose_b = of.p.transpose_b;
  p.m = of.p.m;
  p.n = of.p.n;
  p.k = of.p.k;
  p.lda = of.p.lda;
  p.ldb = of.p.ldb;
  p.ldc = of.p.ldc;
  p.alpha = std::abs(as_double(of.p.alpha));
  p.beta = std::abs(as_double(of.p.beta));
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  EXPECT_TRUE(ReferenceGemm().gemm(p).ok());
  return c;
}

// C of the case by the backend, within the bound of gemm.h; nothing outside C's rows is written.
template <class T, class Multiply>
void expect_agrees(GemmCase<T>& with, const Multiply& multiply) {
  using Sum = typename Gemm<T>::Sum;
  const Gemm<T> p = with.p;
  const std::vector<double> sizes = sizes_of(with);
  std::vector<Sum> want = with.c;
  if constexpr (std::is_floating_point_v<Sum>) {  // beta = 0: it is not read
    if (p.beta == Sum(0) && p.m * p.n != 0) {
      want[0] = with.c[0] = std::numeric_limits<Sum>::quiet_NaN();
    }
  }
  Gemm<T> slow = p;
  slow.c = want.data();
  ASSERT_TRUE(ReferenceGemm().gemm(slow).ok());
  const Status done = multiply(p);
  ASSERT_TRUE(done.ok()) << done.message;
  const double factor = gemm_error_factor(GemmTraits<T>::kType, p.k);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const bool gap = p.m * p.n == 0 || i % p.ldc >= p.n;
    // The twin's own rounding is within the bound too: it is not added.
    const double allowed = gap ? 0 : factor * sizes[i];
    ASSERT_LE(std::abs(as_double(want[i]) - as_double(with.c[i])), allowed)
        << gemm_type_name(GemmTraits<T>::kType) << " m " << p.m << " n " << p.n << " k " << p.k
        << " transposes " << p.transpose_a << p.transpose_b << " alpha " << p.alpha << " beta "
        << p.beta << " at " << i << ": " << want[i] << " and " << with.c[i];
  }
}

// All transposes, alpha and beta of every kind.
template <class T>
void agree(GemmBackend& backend, GemmShape s, std::uint32_t seed, int int8_max = kInt8Whole) {
  using Sum = typename Gemm<T>::Sum;
  for (int way = 0; way < 8; ++way) {
    GemmCase<T> one(s, (way & 1) != 0, (way & 2) != 0, seed, int8_max);
    if (way == 3) one.p.alpha = Sum(3) / Sum(2);
    if (way >= 2 && way <= 5) one.p.beta = way == 4 ? Sum(1) : Sum(-2);
    if (way == 6) one.p.alpha = Sum(-7);
    if (way == 7) one.p.alpha = Sum(0);
    expect_agrees(one, [&](const Gemm<T>& p) { return backend.gemm(p); });
  }
}

}  // namespace overwinter::worker
