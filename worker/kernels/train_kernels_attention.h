// What attention is made of (attention.h): softmax of blocks of scores and small products. Rows'
// exponentials are cross-entropy's too. Included by train_kernels_body.h alone.
#pragma once

#include <cmath>

#include "worker/kernels/train_kernels_lanes.h"

namespace overwinter::worker::OW_KERNEL_LEVEL {

// row[0, n) becomes e^(scale * row - shift); the sum of them comes back.
OW_INLINE float exp_row(float* row, std::size_t n, float scale, float shift) {
  const std::size_t whole = n / kLanes * kLanes;
  Lanes sums{};
  for (std::size_t j = 0; j < whole; j += kLanes) {
    const Lanes e = exp_of(load(row + j) * scale - shift);
    store(row + j, e);
    sums += e;
  }
  float total = sum_of(sums);
  if (whole < n) {
    float rest[kLanes];
    store(rest, exp_of(load_part(row + whole, n - whole, 0) * scale - shift));
    for (std::size_t j = whole; j < n; ++j) {
      row[j] = rest[j - whole];
      total += row[j];
    }
  }
  return total;
}
OW_INLINE float largest_in(const float* row, std::size_t n) {
  const std::size_t whole = n / kLanes * kLanes;
  float most = row[0];
  if (whole > 0) {
    Lanes lanes = load(row);
    for (std::size_t j = kLanes; j < whole; j += kLanes) {
      const Lanes v = load(row + j);
      lanes = larger(v, lanes);
    }
    most = largest_of(lanes);
  }
  for (std::size_t j = whole; j < n; ++j) most = row[j] > most ? row[j] : most;
  return most;
}

OW_KERNEL void causal_softmax(float* scores, std::size_t rows, std::size_t first,
                              std::size_t stride, float scale, float* log_sums) {
  for (std::size_t i = 0; i < rows; ++i, scores += stride) {
    const std::size_t n = first + i + 1;
    const float shift = largest_in(scores, n) * scale;
    const float sum = exp_row(scores, n, scale, shift);
    const float inverse = 1.0F / sum;
    for (std::size_t j = 0; j < n; ++j) scores[j] *= inverse;
    for (std::size_t j = n; j < first + rows; ++j) scores[j] = 0;
    log_sums[i] = shift + std::log(sum);
  }
}

OW_KERNEL void causal_probabilities(float* scores, std::size_t rows, std::size_t first,
                                    std::size_t stride, float scale, const float* log_sums) {
  for (std::size_t i = 0; i < rows; ++i, scores += stride) {
    const std::size_t n = first + i + 1;
    exp_row(scores, n, scale, log_sums[i]);
    for (std::size_t j = n; j < first + rows; ++j) scores[j] = 0;
  }
}

OW_KERNEL void causal_softmax_backward(const float* probabilities, float* d, std::size_t rows,
                                       std::size_t first, std::size_t stride, float scale) {
  for (std::size_t i = 0; i < rows; ++i, probabilities += stride, d += stride) {
    const std::size_t n = first + i + 1;
    const std::size_t whole = n / kLanes * kLanes;
    Lanes sums{};
    for (std::size_t j = 0; j < whole; j += kLanes) sums += load(probabilities + j) * load(d + j);
    float mean = sum_of(sums);
    for (std::size_t j = whole; j < n; ++j) mean += probabilities[j] * d[j];
    for (std::size_t j = 0; j < n; ++j) d[j] = probabilities[j] * (d[j] - mean) * scale;
    for (std::size_t j = n; j < first + rows; ++j) d[j] = 0;
  }
}

// A tile of R rows and 16 columns of C stays in registers over all of k.
template <std::size_t R>
OW_INLINE void product_tile(std::size_t k, const float* a, std::size_t a_row, std::size_t a_column,
                            const float* b, std::size_t b_row, float* c, std::size_t c_row,
                            bool add) {
  Lanes sums[R];
#pragma GCC unroll 12
  for (std::size_t r = 0; r < R; ++r) sums[r] = add ? load(c + r * c_row) : all_lanes(0);
  for (std::size_t l = 0; l < k; ++l, a += a_column, b += b_row) {
    const Lanes row = load(b);
#pragma GCC unroll 12
    for (std::size_t r = 0; r < R; ++r) sums[r] += all_lanes(a[r * a_row]) * row;
  }
#pragma GCC unroll 12
  for (std::size_t r = 0; r < R; ++r) store(c + r * c_row, sums[r]);
}

// What is left of the columns.
OW_INLINE void product_rest(std::size_t m, std::size_t n, std::size_t k, const float* a,
                            std::size_t a_row, std::size_t a_column, const float* b,
                            std::size_t b_row, float* c, std::size_t c_row, bool add) {
  for (std::size_t r = 0; r < m; ++r, a += a_row, c += c_row) {
    Lanes sums = add ? load_part(c, n, 0) : all_lanes(0);
    for (std::size_t l = 0; l < k; ++l)
      sums += all_lanes(a[l * a_column]) * load_part(b + l * b_row, n, 0);
    store_part(c, sums, n);
  }
}

// As many rows as leave the registers room for a row of B and a number of A.
constexpr std::size_t kTileRows = OW_REGISTER_BYTES == 64 ? 12 : OW_REGISTER_BYTES == 32 ? 6 : 2;

OW_KERNEL void small_product(std::size_t m, std::size_t n, std::size_t k, const float* a,
                             std::size_t a_row, std::size_t a_column, const float* b,
                             std::size_t b_row, float* c, std::size_t c_row, bool add) {
  const std::size_t whole = n / kLanes * kLanes;
  std::size_t r = 0;
  for (; r + kTileRows <= m; r += kTileRows) {
    for (std::size_t j = 0; j < whole; j += kLanes)
      product_tile<kTileRows>(k, a + r * a_row, a_row, a_column, b + j, b_row, c + r * c_row + j,
                              c_row, add);
  }
  for (; r + 2 <= m; r += 2) {
    for (std::size_t j = 0; j < whole; j += kLanes)
      product_tile<2>(k, a + r * a_row, a_row, a_column, b + j, b_row, c + r * c_row + j, c_row,
                      add);
  }
  for (; r < m; ++r) {
    for (std::size_t j = 0; j < whole; j += kLanes)
      product_tile<1>(k, a + r * a_row, a_row, a_column, b + j, b_row, c + r * c_row + j, c_row,
                      add);
  }
  if (whole < n)
    product_rest(m, n - whole, k, a, a_row, a_column, b + whole, b_row, c + whole, c_row, add);
}

// Square by square, so that lines of both stay in the first cache.
OW_KERNEL void transpose(const float* from, std::size_t rows, std::size_t columns,
                         std::size_t from_row, float* to, std::size_t to_row) {
  for (std::size_t first = 0; first < rows; first += kLanes) {
    const std::size_t end = first + kLanes < rows ? first + kLanes : rows;
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = first; i < end; ++i) to[j * to_row + i] = from[i * from_row + j];
    }
  }
}

}  // namespace overwinter::worker::OW_KERNEL_LEVEL
