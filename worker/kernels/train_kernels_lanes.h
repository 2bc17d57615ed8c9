// Sixteen values at a time, for train_kernels_body.h, which alone includes it: loads, stores, sums
// and an exponential, compiled once for each instruction set as the body is. The including file
// sets OW_REGISTER_BYTES too: lanes are an array of vectors as wide as its registers, since GCC 12
// takes comparisons of wider ones apart into scalars.
#pragma once

#include <cstdint>
#include <cstring>

namespace overwinter::worker::OW_KERNEL_LEVEL {

#define OW_INLINE OW_KERNEL inline __attribute__((always_inline))

constexpr std::size_t kLanes = 16;
constexpr std::size_t kParts = kLanes * sizeof(float) / OW_REGISTER_BYTES;
using Part = float __attribute__((vector_size(OW_REGISTER_BYTES)));
using IntPart = std::int32_t __attribute__((vector_size(OW_REGISTER_BYTES)));
struct Lanes {
  Part part[kParts];
};
using DoubleLanes = double __attribute__((vector_size(128)));
using WholeLanes = float __attribute__((vector_size(64)));

OW_INLINE Lanes load(const float* p) {
  Lanes v;
  for (std::size_t i = 0; i < kParts; ++i)
    std::memcpy(&v.part[i], p + i * kLanes / kParts, sizeof(Part));
  return v;
}
OW_INLINE void store(float* p, const Lanes& v) {
  for (std::size_t i = 0; i < kParts; ++i)
    std::memcpy(p + i * kLanes / kParts, &v.part[i], sizeof(Part));
}
OW_INLINE Lanes all_lanes(float x) {
  Lanes v;
  for (std::size_t i = 0; i < kParts; ++i) v.part[i] = x - Part{};  // nothing is left of the 0
  return v;
}
#define OW_LANES_OPERATOR(op)                                                    \
  OW_INLINE Lanes operator op(const Lanes& a, const Lanes& b) {                  \
    Lanes v;                                                                     \
    for (std::size_t i = 0; i < kParts; ++i) v.part[i] = a.part[i] op b.part[i]; \
    return v;                                                                    \
  }                                                                              \
  OW_INLINE Lanes operator op(const Lanes& a, float b) {                         \
    return a op all_lanes(b);                                                    \
  }                                                                              \
  OW_INLINE Lanes operator op(float a, const Lanes& b) {                         \
    return all_lanes(a) op b;                                                    \
  }
OW_LANES_OPERATOR(+)
OW_LANES_OPERATOR(-)
OW_LANES_OPERATOR(*)
OW_LANES_OPERATOR(/)
#undef OW_LANES_OPERATOR
OW_INLINE void operator+=(Lanes& a, const Lanes& b) {
  a = a + b;
}
// Of two equal or unordered values the second, as the processor's own instructions do.
OW_INLINE Lanes larger(const Lanes& a, const Lanes& b) {
  Lanes v;
  for (std::size_t i = 0; i < kParts; ++i)
    v.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
  return v;
}
OW_INLINE Lanes smaller(const Lanes& a, const Lanes& b) {
  Lanes v;
  for (std::size_t i = 0; i < kParts; ++i)
    v.part[i] = a.part[i] < b.part[i] ? a.part[i] : b.part[i];
  return v;
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
  x = larger(all_lanes(-87.0F), x);
  x = smaller(all_lanes(88.0F), x);
  const Lanes shifted = x * 1.44269504F + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Lanes p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  for (std::size_t i = 0; i < kParts; ++i) {
    IntPart bits;
    std::memcpy(&bits, &shifted.part[i], sizeof(bits));
    bits = (bits - 0x4B400000 + 127) << 23;
    Part power;
    std::memcpy(&power, &bits, sizeof(power));
    p.part[i] *= power;
  }
  return p;
}

}  // namespace overwinter::worker::OW_KERNEL_LEVEL
