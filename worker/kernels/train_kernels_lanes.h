// Sixteen values at a time, for train_kernels_body.h, which alone includes it: loads, stores, sums
// and an exponential, compiled once for each instruction set as the body is.
#pragma once

#include <cstdint>
#include <cstring>

namespace overwinter::worker::OW_KERNEL_LEVEL {

#define OW_INLINE OW_KERNEL inline __attribute__((always_inline))

constexpr std::size_t kLanes = 16;
using Lanes = float __attribute__((vector_size(64)));
using IntLanes = std::int32_t __attribute__((vector_size(64)));
using DoubleLanes = double __attribute__((vector_size(128)));

OW_INLINE Lanes load(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
OW_INLINE void store(float* p, const Lanes& v) {
  std::memcpy(p, &v, sizeof(v));
}
OW_INLINE Lanes load_part(const float* p, std::size_t n, float rest) {
  float all[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) all[i] = i < n ? p[i] : rest;
  return load(all);
}
OW_INLINE void store_part(float* p, const Lanes& v, std::size_t n) {
  float all[kLanes];
  store(all, v);
  for (std::size_t i = 0; i < n; ++i) p[i] = all[i];
}
OW_INLINE float sum_of(const Lanes& v) {
  float a[kLanes];
  store(a, v);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) a[i] += a[i + half];
  }
  return a[0];
}
OW_INLINE float largest_of(const Lanes& v) {
  float a[kLanes];
  store(a, v);
  float most = a[0];
  for (std::size_t i = 1; i < kLanes; ++i) most = a[i] > most ? a[i] : most;
  return most;
}

// e^x within 2 units in the last place (Cody and Waite's reduction, the polynomial of Cephes'
// expf); below -87 it stays at e^-87, a NaN stays one.
OW_INLINE Lanes exp_of(Lanes x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const Lanes least = Lanes{} - 87.0F;
  const Lanes most = Lanes{} + 88.0F;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Lanes shifted = x * 1.44269504F + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Lanes p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  IntLanes bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits - 0x4B400000 + 127) << 23;
  Lanes power;
  std::memcpy(&power, &bits, sizeof(power));
  return p * power;
}

}  // namespace overwinter::worker::OW_KERNEL_LEVEL
