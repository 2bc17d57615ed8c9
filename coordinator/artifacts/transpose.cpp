#include "coordinator/artifacts/transpose.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace overwinter::artifacts {
namespace {

// A block whose lines all stay in the first cache level: it is read by columns and written by rows.
constexpr std::size_t kBlock = 32;

template <class Element>
void transpose_block(const std::byte* in, std::size_t column_stride, std::byte* out,
                     std::size_t row_stride, std::size_t rows, std::size_t columns) {
  for (std::size_t r = 0; r < rows; ++r) {
    const std::byte* from = in + r * sizeof(Element);
    std::byte* to = out + r * row_stride;
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(to, from, sizeof(Element));
      from += column_stride;
      to += sizeof(Element);
    }
  }
}

#if defined(__x86_64__)
// Sixteen at a time in registers; SSE2 is part of the x86-64 baseline.
void transpose_4x4_of_4(const std::byte* in, std::size_t column_stride, std::byte* out,
                        std::size_t row_stride) {
  const auto load = [&](std::size_t c) {
    return _mm_loadu_ps(reinterpret_cast<const float*>(in + c * column_stride));
  };
  __m128 c0 = load(0);
  __m128 c1 = load(1);
  __m128 c2 = load(2);
  __m128 c3 = load(3);
  _MM_TRANSPOSE4_PS(c0, c1, c2, c3);
  const auto store = [&](std::size_t r, __m128 row) {
    _mm_storeu_ps(reinterpret_cast<float*>(out + r * row_stride), row);
  };
  store(0, c0);
  store(1, c1);
  store(2, c2);
  store(3, c3);
}

void transpose_2x2_of_8(const std::byte* in, std::size_t column_stride, std::byte* out,
                        std::size_t row_stride) {
  const __m128d c0 = _mm_loadu_pd(reinterpret_cast<const double*>(in));
  const __m128d c1 = _mm_loadu_pd(reinterpret_cast<const double*>(in + column_stride));
  _mm_storeu_pd(reinterpret_cast<double*>(out), _mm_unpacklo_pd(c0, c1));
  _mm_storeu_pd(reinterpret_cast<double*>(out + row_stride), _mm_unpackhi_pd(c0, c1));
}

template <std::size_t kStep, std::size_t kBytes, auto kKernel>
void transpose_block_by(const std::byte* in, std::size_t column_stride, std::byte* out,
                        std::size_t row_stride, std::size_t rows, std::size_t columns) {
  for (std::size_t r = 0; r < rows; r += kStep) {
    for (std::size_t c = 0; c < columns; c += kStep)
      kKernel(in + c * column_stride + r * kBytes, column_stride, out + r * row_stride + c * kBytes,
              row_stride);
  }
}
#endif

template <class Element>
void whole_block(const std::byte* in, std::size_t column_stride, std::byte* out,
                 std::size_t row_stride) {
#if defined(__x86_64__)
  if constexpr (sizeof(Element) == 4) {
    transpose_block_by<4, 4, transpose_4x4_of_4>(in, column_stride, out, row_stride, kBlock,
                                                 kBlock);
    return;
  } else if constexpr (sizeof(Element) == 8) {
    transpose_block_by<2, 8, transpose_2x2_of_8>(in, column_stride, out, row_stride, kBlock,
                                                 kBlock);
    return;
  }
#endif
  transpose_block<Element>(in, column_stride, out, row_stride, kBlock, kBlock);
}

template <class Element>
void transpose_elements(const std::byte* in, std::size_t column_stride, std::byte* out,
                        std::size_t row_stride, std::size_t rows, std::size_t columns) {
  for (std::size_t r = 0; r < rows; r += kBlock) {
    const std::size_t high = std::min(kBlock, rows - r);
    for (std::size_t c = 0; c < columns; c += kBlock) {
      const std::size_t wide = std::min(kBlock, columns - c);
      const std::byte* from = in + c * column_stride + r * sizeof(Element);
      std::byte* to = out + r * row_stride + c * sizeof(Element);
      if (high == kBlock && wide == kBlock) {
        whole_block<Element>(from, column_stride, to, row_stride);
      } else {
        transpose_block<Element>(from, column_stride, to, row_stride, high, wide);
      }
    }
  }
}

}  // namespace

void transpose(const std::byte* in, std::size_t column_stride, std::byte* out,
               std::size_t row_stride, std::size_t rows, std::size_t columns,
               std::size_t element_bytes) {
  switch (element_bytes) {
    case 1:
      return transpose_elements<std::uint8_t>(in, column_stride, out, row_stride, rows, columns);
    case 2:
      return transpose_elements<std::uint16_t>(in, column_stride, out, row_stride, rows, columns);
    case 4:
      return transpose_elements<std::uint32_t>(in, column_stride, out, row_stride, rows, columns);
    case 8:
      return transpose_elements<std::uint64_t>(in, column_stride, out, row_stride, rows, columns);
    default:
      check(false, "elements are of 1, 2, 4 or 8 bytes");
  }
}

}  // namespace overwinter::artifacts
