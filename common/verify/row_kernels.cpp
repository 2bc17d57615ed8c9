#include "common/verify/row_kernels.h"

#include <cstring>

namespace overwinter::verify {
namespace {

constexpr std::size_t kLanes = 8;
using Lanes [[gnu::vector_size(kLanes * sizeof(double))]] = double;
using FloatLanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

// Vectors never cross a call by value: how they are passed depends on the target.
[[gnu::always_inline]] inline void load(const double* from, Lanes& to) {
  std::memcpy(&to, from, sizeof(to));
}
[[gnu::always_inline]] inline void load(const float* from, Lanes& to) {
  FloatLanes single;
  std::memcpy(&single, from, sizeof(single));
  to = __builtin_convertvector(single, Lanes);
}
[[gnu::always_inline]] inline double total(const Lanes& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

template <class T>
[[gnu::always_inline]] inline void row_sums_body(const T* row, const double* x, std::size_t count,
                                                 RowSums& out) {
  Lanes dot0{}, dot1{}, norm0{}, norm1{};
  std::size_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    Lanes a0, a1, x0, x1;
    load(row + i, a0);
    load(row + i + kLanes, a1);
    load(x + i, x0);
    load(x + i + kLanes, x1);
    dot0 += a0 * x0;
    dot1 += a1 * x1;
    norm0 += a0 * a0;
    norm1 += a1 * a1;
  }
  dot0 += dot1;
  norm0 += norm1;
  out.dot = total(dot0);
  out.norm2 = total(norm0);
  for (; i < count; ++i) {
    const auto a = static_cast<double>(row[i]);
    out.dot += a * x[i];
    out.norm2 += a * a;
  }
}

// Four vectors at a time: the row is loaded and widened once for them.
template <class T>
[[gnu::always_inline]] inline void four_dots(const T* row, std::size_t count, const double* y,
                                             std::size_t stride, double* out) {
  Lanes sum0{}, sum1{}, sum2{}, sum3{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Lanes a, y0, y1, y2, y3;
    load(row + i, a);
    load(y + i, y0);
    load(y + stride + i, y1);
    load(y + 2 * stride + i, y2);
    load(y + 3 * stride + i, y3);
    sum0 += a * y0;
    sum1 += a * y1;
    sum2 += a * y2;
    sum3 += a * y3;
  }
  out[0] = total(sum0);
  out[1] = total(sum1);
  out[2] = total(sum2);
  out[3] = total(sum3);
  for (; i < count; ++i)
    for (std::size_t j = 0; j < 4; ++j) out[j] += static_cast<double>(row[i]) * y[j * stride + i];
}

template <class T>
[[gnu::always_inline]] inline void row_times_vectors_body(const T* row, std::size_t count,
                                                          const double* y, std::size_t stride,
                                                          std::size_t vectors, double* out,
                                                          double& norm2) {
  std::size_t j = 0;
  for (; j + 4 <= vectors; j += 4) four_dots(row, count, y + j * stride, stride, out + j);
  RowSums sums;
  for (; j < vectors; ++j) {
    row_sums_body(row, y + j * stride, count, sums);
    out[j] = sums.dot;
  }
  // With no vector left over the norm has not been taken yet; the second factor does not matter to
  // it.
  if (vectors % 4 == 0) row_sums_body(row, y, vectors == 0 ? 0 : count, sums);
  norm2 = sums.norm2;
}

enum class Width { kBaseline, kAvx2, kAvx512 };

Width width() {
  static const Width kWidth = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return Width::kAvx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Width::kAvx2;
    return Width::kBaseline;
  }();
  return kWidth;
}

template <class T>
[[gnu::target("avx2,fma")]] void row_sums_avx2(const T* row, const double* x, std::size_t count,
                                               RowSums& out) {
  row_sums_body(row, x, count, out);
}
template <class T>
[[gnu::target("avx512f")]] void row_sums_avx512(const T* row, const double* x, std::size_t count,
                                                RowSums& out) {
  row_sums_body(row, x, count, out);
}
template <class T>
[[gnu::target("avx2,fma")]] void row_times_vectors_avx2(const T* row, std::size_t count,
                                                        const double* y, std::size_t stride,
                                                        std::size_t vectors, double* out,
                                                        double& norm2) {
  row_times_vectors_body(row, count, y, stride, vectors, out, norm2);
}
template <class T>
[[gnu::target("avx512f")]] void row_times_vectors_avx512(const T* row, std::size_t count,
                                                         const double* y, std::size_t stride,
                                                         std::size_t vectors, double* out,
                                                         double& norm2) {
  row_times_vectors_body(row, count, y, stride, vectors, out, norm2);
}

}  // namespace

template <class T>
RowSums row_sums(const T* row, const double* x, std::size_t count) {
  RowSums out;
  switch (width()) {
    case Width::kAvx512:
      row_sums_avx512(row, x, count, out);
      break;
    case Width::kAvx2:
      row_sums_avx2(row, x, count, out);
      break;
    case Width::kBaseline:
      row_sums_body(row, x, count, out);
      break;
  }
  return out;
}

template <class T>
double row_times_vectors(const T* row, std::size_t count, const double* y, std::size_t stride,
                         std::size_t vectors, double* out) {
  double norm2 = 0;
  switch (width()) {
    case Width::kAvx512:
      row_times_vectors_avx512(row, count, y, stride, vectors, out, norm2);
      break;
    case Width::kAvx2:
      row_times_vectors_avx2(row, count, y, stride, vectors, out, norm2);
      break;
    case Width::kBaseline:
      row_times_vectors_body(row, count, y, stride, vectors, out, norm2);
      break;
  }
  return norm2;
}

template <class T>
RowSums row_sums_reference(const T* row, const double* x, std::size_t count) {
  RowSums out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto a = static_cast<double>(row[i]);
    out.dot += a * x[i];
    out.norm2 += a * a;
  }
  return out;
}

template RowSums row_sums<float>(const float*, const double*, std::size_t);
template RowSums row_sums<double>(const double*, const double*, std::size_t);
template double row_times_vectors<float>(const float*, std::size_t, const double*, std::size_t,
                                         std::size_t, double*);
template double row_times_vectors<double>(const double*, std::size_t, const double*, std::size_t,
                                          std::size_t, double*);
template RowSums row_sums_reference<float>(const float*, const double*, std::size_t);
template RowSums row_sums_reference<double>(const double*, const double*, std::size_t);

}  // namespace overwinter::verify
