// Views of the tensors that are compressed, and what is refused before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "worker/kernels/thread_team.h"

namespace overwinter::worker {

// Dense and row-major. Owns nothing. The name is what errors call it; without dimensions it is one
// number.
template <class T>
struct Tensor {
  std::string_view name;
  std::span<const std::size_t> shape;
  std::span<T> values;
};

// A tensor as a matrix: rows of the first dimension, or of all but the last.
struct MatrixSize {
  std::size_t rows = 0;
  std::size_t columns = 0;
};

// The product of the sizes. INVALID_ARGUMENT (the field is the tensor's name) when it passes 2^63.
[[nodiscard]] Result<std::size_t> count_of(std::string_view name,
                                           std::span<const std::size_t> shape);
// INVALID_ARGUMENT when the shape has not as many values as there are.
Status check_shape(std::string_view name, std::span<const std::size_t> shape, std::size_t values);
// INVALID_ARGUMENT when an operation on the tensor of that name is given `given` values of `what`
// and not `wanted`.
Status check_room(std::string_view name, std::string_view what, std::size_t given,
                  std::size_t wanted);

// "[3, 17]"; of a tensor without dimensions "[]".
[[nodiscard]] std::string index_text(std::span<const std::size_t> shape, std::size_t place);

// The bits of infinity, without its sign: NaN has larger ones, every number smaller ones.
inline constexpr std::uint32_t kInfinityBits = 0x7f800000U;

// The error for the first value (in memory's order) whose bits without the sign are at least
// `bits`: INVALID_ARGUMENT for NaN and infinity, OUT_OF_RANGE for a number that `type` cannot hold;
// the field is the tensor's name. Success where there is none. One thread: for when there is one.
Status refuse_from(const Tensor<const float>& tensor, std::uint32_t bits, std::string_view type);

// refuse_from(kInfinityBits), on the team, at the speed of memory when there is none.
Status check_finite(ThreadTeam& team, const Tensor<const float>& tensor);

}  // namespace overwinter::worker
