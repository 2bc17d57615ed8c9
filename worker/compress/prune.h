// Pruning by magnitude: what matters least becomes 0.
//
// Unstructured (Han, Pool, Tran and Dally, Learning both weights and connections for efficient
// neural networks, NIPS 2015): the smallest of a whole tensor. No other choice of as many zeros
// leaves a smaller distance |W - W'|, and that is |W - W'|^2 <= (zeros / values) |W|^2, since what
// goes is on average no larger than what stays.
//
// 2:4 (Mishra and others, Accelerating sparse deep neural networks, 2021, arXiv:2104.08378): of
// each four values in a row two stay, as sparse tensor cores want it; |W - W'|^2 <= |W|^2 / 2, by
// the same in each four.
#pragma once

#include <cstddef>
#include <span>

#include "worker/compress/tensor.h"

namespace overwinter::worker {

// `to` holds as many values as `from` and may be the same ones. Both refuse (INVALID_ARGUMENT) with
// the tensor's name: sizes that differ; NaN and infinity, with the first index: what `to` holds is
// then unspecified, but nothing was written by prune_magnitude. Signs of zeros are not kept. One
// caller a team at a time.

// The `fraction` (0 to 1, INVALID_ARGUMENT else) of all values, in whole values rounded to nearest
// (half up), that have the smallest magnitudes become 0; of equal ones the first. Returns how many.
// Reads up to four times, writes once.
[[nodiscard]] Result<std::size_t> prune_magnitude(ThreadTeam& team, const Tensor<const float>& from,
                                                  double fraction, std::span<float> to);

// Of each four values along the last dimension, which is to be a multiple of 4 (INVALID_ARGUMENT
// else), the two of the smallest magnitudes become 0; of equal ones the later. Reads and writes
// once.
Status prune_2_of_4(ThreadTeam& team, const Tensor<const float>& from, std::span<float> to);

}  // namespace overwinter::worker
