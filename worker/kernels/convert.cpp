#include "worker/kernels/convert.h"

#include <immintrin.h>

namespace overwinter::worker {
namespace {

#define OW_AVX2_F16C __attribute__((target("avx2,f16c")))

bool has_avx2_and_f16c() {
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("f16c") != 0;
  }();
  return has;
}

// Each does whole groups of eight and says how many numbers that were; the caller does the rest.

OW_AVX2_F16C std::size_t widen_eights(const BFloat16* from, std::size_t count, float* to) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
    _mm256_storeu_ps(to + i, _mm256_castsi256_ps(wide));
  }
  return i;
}

OW_AVX2_F16C std::size_t widen_eights(const Float16* from, std::size_t count, float* to) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(bits));
  }
  return i;
}

OW_AVX2_F16C std::size_t widen_eights(const std::int8_t* from, std::size_t count, float* to) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
  }
  return i;
}

OW_AVX2_F16C std::size_t narrow_eights(const float* from, std::size_t count, BFloat16* to) {
  std::size_t i = 0;
  const __m256i low = _mm256_set1_epi32(0x7fff);
  for (; i + 8 <= count; i += 8) {
    const __m256 x = _mm256_loadu_ps(from + i);
    const __m256i u = _mm256_castps_si256(x);
    const __m256i high = _mm256_srli_epi32(u, 16);
    const __m256i even = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i near = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(low, even)), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i bits = _mm256_blendv_epi8(near, quiet, nan);
    const __m128i packed =
        _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), packed);
  }
  return i;
}

OW_AVX2_F16C std::size_t narrow_eights(const float* from, std::size_t count, Float16* to) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bits =
        _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), bits);
  }
  return i;
}

#undef OW_AVX2_F16C

float one_wide(BFloat16 x) {
  return to_float(x);
}
float one_wide(Float16 x) {
  return to_float(x);
}
float one_wide(std::int8_t x) {
  return x;
}
void one_narrow(float x, BFloat16& to) {
  to = to_bfloat16(x);
}
void one_narrow(float x, Float16& to) {
  to = to_float16(x);
}

template <class T>
void widen_all(const T* from, std::size_t count, float* to) {
  std::size_t i = has_avx2_and_f16c() ? widen_eights(from, count, to) : 0;
  for (; i < count; ++i) to[i] = one_wide(from[i]);
}

template <class T>
void narrow_all(const float* from, std::size_t count, T* to) {
  std::size_t i = has_avx2_and_f16c() ? narrow_eights(from, count, to) : 0;
  for (; i < count; ++i) one_narrow(from[i], to[i]);
}

}  // namespace

void widen(const BFloat16* from, std::size_t count, float* to) {
  widen_all(from, count, to);
}
void widen(const Float16* from, std::size_t count, float* to) {
  widen_all(from, count, to);
}
void widen(const std::int8_t* from, std::size_t count, float* to) {
  widen_all(from, count, to);
}
void narrow(const float* from, std::size_t count, BFloat16* to) {
  narrow_all(from, count, to);
}
void narrow(const float* from, std::size_t count, Float16* to) {
  narrow_all(from, count, to);
}

}  // namespace overwinter::worker
