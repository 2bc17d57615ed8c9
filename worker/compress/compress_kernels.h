// The loops of the room, each once for every instruction set, chosen at run time. Their slow twins
// are in compress_reference.h, bit for bit the same. Internal to the room.
//
// `largest` and `least` are bits of fp32 without the sign: ordered as magnitudes are, NaN above
// infinity above every number. Nothing allocates. Inputs and outputs do not overlap unless it says
// "in place"; any alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/kernels/train_kernels.h"

namespace overwinter::worker {

struct CompressKernels {
  std::string_view name;

  // Of all; 0 of none.
  std::uint32_t (*largest)(const float* x, std::size_t count);
  // Of each column of rows x width, with what `largest` held before.
  void (*largest_of_columns)(const float* x, std::size_t rows, std::size_t stride,
                             std::size_t width, std::uint32_t* largest);

  // q = x * inverse, rounded to nearest, ties to even; of magnitude 127 at most, which is the
  // caller's to see to.
  void (*quantize)(const float* x, std::size_t count, float inverse, std::int8_t* q);
  // The same for a row, each column by an inverse of its own.
  void (*quantize_columns)(const float* x, std::size_t width, const float* inverses,
                           std::int8_t* q);
  void (*dequantize)(const std::int8_t* q, std::size_t count, float scale, float* x);
  void (*dequantize_columns)(const std::int8_t* q, std::size_t width, const float* scales,
                             float* x);
  // y = (sum * row_scale) * scales[j] + bias[j]; bias may be null.
  void (*scale_sums)(const std::int32_t* sums, std::size_t width, float row_scale,
                     const float* scales, const float* bias, float* y);

  // What is below `least` becomes 0; in place too.
  void (*prune_below)(const float* x, std::size_t count, std::uint32_t least, float* y);
  // Of each four values the two of the smallest magnitudes become 0, of equal ones the later; in
  // place too. count is a multiple of 4.
  void (*prune_fours)(const float* x, std::size_t count, float* y);
};

// A level above the best (best_kernel_level) may not be called.
[[nodiscard]] const CompressKernels& compress_kernels(KernelLevel level);

extern const CompressKernels kBaselineCompress;
extern const CompressKernels kAvx2Compress;
extern const CompressKernels kAvx512Compress;

}  // namespace overwinter::worker
