// Int8Linear: y = x W + bias with W in int8 (quantize.h) and x quantised as it comes, a scale for
// each row of x (vector-wise, as in Dettmers and others, LLM.int8(), NeurIPS 2022, §2.1): one
// product of int8 with exact sums in int32, then y_ij = sum_ij * scale_x(i) * scale_w(j) + bias_j.
//
// Error beside x W in exact arithmetic, with W the fp32 weights and k terms:
//
//   |y_ij - (x W)_ij - bias_j| <= h s_w(j) |x_i|_1 + h s_x(i) |W_j|_1 + k h^2 s_x(i) s_w(j)
//                                 + 4 u (sizes)
//
// with h = kInt8ErrorSteps, u = 2^-24: both factors are off by h steps at most, and the product of
// sums is multiplied out. `sizes` are |y_ij| and |bias_j|: the sum becomes fp32, is multiplied
// twice and bias is added.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "worker/compress/quantize.h"
#include "worker/kernels/gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// 127 * 127 so many times is below 2^31.
inline constexpr std::size_t kInt8TermsMax = 133'144;
// Rows of x that are quantised and multiplied at once, unless less is asked for.
inline constexpr std::size_t kInt8Rows = 256;

class Int8Linear {
 public:
  // What it takes of the memory beside the packed weights (PackedWeights::bytes): scales, and rows
  // of quantised x and of sums. RESOURCE_EXHAUSTED when that passes 2^63.
  [[nodiscard]] static Result<std::size_t> room_bytes(std::size_t k, std::size_t n,
                                                      std::size_t rows = kInt8Rows);

  // Packs the weights (of 2 dimensions as channels see them; a channel is a column of y) and copies
  // the scales: both may go. backend, team and memory outlive it. INVALID_ARGUMENT for sizes that
  // differ, OUT_OF_RANGE above kInt8TermsMax terms, RESOURCE_EXHAUSTED without memory;
  // UNIMPLEMENTED when the backend has no int8. All sizes are checked before memory is asked for.
  [[nodiscard]] static Result<Int8Linear> make(GemmBackend& backend, ThreadTeam& team,
                                               MemoryResource& memory,
                                               const Tensor<const std::int8_t>& weights,
                                               Channels channels, std::span<const float> scales,
                                               std::size_t rows = kInt8Rows);

  // x: m x k, of any dimensions whose last is k. bias: n, or empty. y: m x n. INVALID_ARGUMENT with
  // x's name: sizes that differ; NaN and infinity, with the first index: rows of y are then
  // unspecified. One caller at a time, of the team and the backend too. Allocates nothing itself.
  Status multiply(const Tensor<const float>& x, std::span<const float> bias, std::span<float> y);

  [[nodiscard]] std::size_t terms() const { return k_; }
  [[nodiscard]] std::size_t columns() const { return n_; }
  [[nodiscard]] std::size_t weights_bytes() const { return packed_->bytes(); }

 private:
  Int8Linear(GemmBackend& backend, ThreadTeam& team, MatrixSize size, std::size_t rows)
      : backend_(&backend), team_(&team), k_(size.rows), n_(size.columns), rows_(rows) {}
  // The largest bits of the rows.
  std::uint32_t quantize_rows(const float* x, std::size_t rows);
  void scale_rows(std::size_t rows, std::span<const float> bias, float* y);

  GemmBackend* backend_;
  ThreadTeam* team_;
  std::size_t k_;
  std::size_t n_;
  std::size_t rows_;
  std::unique_ptr<PackedWeights> packed_;
  Buffer scales_;      // n floats
  Buffer row_scales_;  // rows_ floats
  Buffer quantized_;   // rows_ x k
  Buffer sums_;        // rows_ x n of int32
};

}  // namespace overwinter::worker
