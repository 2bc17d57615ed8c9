// The passes of strassen_passes.h, compiled once for each instruction set: the including file sets
// OW_STRASSEN_LEVEL (a namespace) and OW_KERNEL (a target attribute, or nothing) before. Included
// by strassen_passes_LEVEL.cpp alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "worker/kernels/strassen_passes.h"

namespace overwinter::worker::OW_STRASSEN_LEVEL {

#define OW_INLINE OW_KERNEL inline __attribute__((always_inline))

constexpr std::size_t kBytes = 64;  // of a vector; the compiler cuts it for narrower registers

template <class T>
struct Of;
template <>
struct Of<float> {
  using Lanes = float __attribute__((vector_size(kBytes)));
  using Bits = std::int32_t;
  using BitLanes = std::int32_t __attribute__((vector_size(kBytes)));
};
template <>
struct Of<double> {
  using Lanes = double __attribute__((vector_size(kBytes)));
  using Bits = std::int64_t;
  using BitLanes = std::int64_t __attribute__((vector_size(kBytes)));
};

// What a pass adds: +1, -1 or 0 of each block. The first is never 0.
struct Sums {
  int in = 0;
  int out = 0;
  signed char of[3][3] = {};
};
constexpr Sums kLeft{3, 3, {{1, 1, 0}, {1, 1, -1}, {-1, 0, 1}}};
constexpr Sums kRight{3, 3, {{1, -1, 0}, {-1, 1, 1}, {-1, 0, 1}}};
constexpr Sums kMinus{2, 1, {{1, -1}}};
constexpr Sums kCopy{1, 1, {{1}}};
constexpr Sums kPlus{2, 1, {{1, 1}}};
constexpr Sums kBoth{2, 2, {{1, 0}, {1, 1}}};

template <Sums kSums, int kOut, int kTerm, class V>
OW_INLINE V sum_to(const V* x) {
  constexpr int kSign = kSums.of[kOut][kTerm];
  if constexpr (kTerm == 0) {
    return kSign > 0 ? x[0] : -x[0];
  } else {
    const V before = sum_to<kSums, kOut, kTerm - 1>(x);
    if constexpr (kSign > 0) return before + x[kTerm];
    if constexpr (kSign < 0) return before - x[kTerm];
    return before;
  }
}

template <class V, class T>
OW_INLINE V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <class V, class T>
OW_INLINE void store(T* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}

template <Sums kSums, int kOut, bool kKept, class V, class T>
OW_INLINE void write(const V* x, T* const* y, std::size_t j, T beta) {
  if constexpr (kOut < kSums.out) {
    V sum = sum_to<kSums, kOut, kSums.in - 1>(x);
    if constexpr (kKept) sum += beta * load<V>(y[kOut] + j);
    store(y[kOut] + j, sum);
    write<kSums, kOut + 1, kKept>(x, y, j, beta);
  }
}

// Elements [begin, end) of a row, V at a time. All blocks are read before a target is written:
// it may be one of them.
template <Sums kSums, bool kKept, class V, class T>
OW_INLINE void part_of_row(const T* const* x, T* const* y, std::size_t begin, std::size_t end,
                           T beta) {
  for (std::size_t j = begin; j < end; j += sizeof(V) / sizeof(T)) {
    V v[3];
    for (int i = 0; i < kSums.in; ++i) v[i] = load<V>(x[i] + j);
    write<kSums, 0, kKept>(v, y, j, beta);
  }
}

template <class T, Sums kSums, bool kKept>
OW_KERNEL void run(std::size_t rows, std::size_t columns, const StrassenBlock<T>* in,
                   const StrassenTarget<T>* out, T beta) {
  using Lanes = typename Of<T>::Lanes;
  const std::size_t whole = columns / (kBytes / sizeof(T)) * (kBytes / sizeof(T));
  for (std::size_t row = 0; row < rows; ++row) {
    const T* x[3] = {};
    T* y[3] = {};
    for (int i = 0; i < kSums.in; ++i) x[i] = in[i].data + row * in[i].stride;
    for (int i = 0; i < kSums.out; ++i) y[i] = out[i].data + row * out[i].stride;
    part_of_row<kSums, kKept, Lanes>(x, y, 0, whole, beta);
    part_of_row<kSums, kKept, T>(x, y, whole, columns, beta);
  }
}

// Bits of absolute values are ordered as the values are, and those of infinity and NaN are above.
template <class T>
OW_KERNEL T largest(std::size_t rows, std::size_t columns, StrassenBlock<T> x) {
  using Bits = typename Of<T>::Bits;
  using BitLanes = typename Of<T>::BitLanes;
  constexpr Bits kAbsolute = std::numeric_limits<Bits>::max();
  constexpr std::size_t kLanes = kBytes / sizeof(T);
  const std::size_t whole = columns / kLanes * kLanes;
  BitLanes most{};
  Bits rest = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const T* from = x.data + row * x.stride;
    for (std::size_t j = 0; j < whole; j += kLanes) {
      const BitLanes bits = load<BitLanes>(from + j) & kAbsolute;
      most = bits > most ? bits : most;
    }
    for (std::size_t j = whole; j < columns; ++j) {
      const Bits bits = load<Bits>(from + j) & kAbsolute;
      rest = bits > rest ? bits : rest;
    }
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) rest = most[lane] > rest ? most[lane] : rest;
  return load<T>(&rest);
}

template <class T, Sums kSums, bool kHasKept>
constexpr StrassenPass<T> pass_of() {
  StrassenPass<T> pass{run<T, kSums, false>, nullptr};
  if constexpr (kHasKept) pass.kept = run<T, kSums, true>;
  return pass;
}

template <class T>
constexpr StrassenPasses<T> table_of() {
  return {pass_of<T, kLeft, false>(),
          pass_of<T, kRight, false>(),
          pass_of<T, kMinus, false>(),
          pass_of<T, kCopy, true>(),
          pass_of<T, kPlus, true>(),
          pass_of<T, kBoth, true>(),
          largest<T>};
}

}  // namespace overwinter::worker::OW_STRASSEN_LEVEL
