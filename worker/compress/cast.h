// Weights in 16 bits: bf16 keeps fp32's range and 8 bits of significand, fp16 has 11 bits and ends
// at 65,504.
//
// Error of a value x, rounded to nearest (Higham, Accuracy and Stability of Numerical Algorithms,
// 2nd edition, Theorem 2.2): |to - x| <= u |x| with u = 2^-8 (bf16), 2^-11 (fp16); where that is
// less than half of what subnormal numbers lie apart (2^-133, 2^-24), by that half.
#pragma once

#include <span>

#include "common/base/narrow.h"
#include "worker/compress/tensor.h"

namespace overwinter::worker {

// The bound of above, of one value.
[[nodiscard]] double bf16_error_max(double x);
[[nodiscard]] double fp16_error_max(double x);

// `to` holds as many values. INVALID_ARGUMENT where sizes differ or a value is NaN or infinite,
// OUT_OF_RANGE where rounding would make it infinite (fp16: from 65,520), each with the tensor's
// name and the first such index; what `to` holds is then unspecified. Reads and writes once. One
// caller a team at a time.
Status cast(ThreadTeam& team, const Tensor<const float>& from, std::span<BFloat16> to);
Status cast(ThreadTeam& team, const Tensor<const float>& from, std::span<Float16> to);

}  // namespace overwinter::worker
