// The operations of train_kernels.h, compiled once for each instruction set: the including file
// sets OW_KERNEL_LEVEL (a namespace), OW_KERNEL (a target attribute, or nothing) and
// OW_REGISTER_BYTES before.
// Included by train_kernels_LEVEL.cpp alone.
//
// Sums run over 16 lanes whatever the registers' width; a function that is to be inlined here needs
// the attribute too, so there are no lambdas and no algorithms of the standard library.
#pragma once

#include <cmath>

#include "worker/kernels/train_kernels.h"
#include "worker/kernels/train_kernels_attention.h"
#include "worker/kernels/train_kernels_lanes.h"

namespace overwinter::worker::OW_KERNEL_LEVEL {

OW_INLINE void norm_row(const float* x, const float* gain, const float* bias, std::size_t width,
                        float* y, float* statistics) {
  const float n = static_cast<float>(width);
  const std::size_t whole = width / kLanes * kLanes;
  Lanes sums{};
  for (std::size_t j = 0; j < whole; j += kLanes) sums += load(x + j);
  float mean = sum_of(sums);
  for (std::size_t j = whole; j < width; ++j) mean += x[j];
  mean /= n;
  Lanes squares{};
  for (std::size_t j = 0; j < whole; j += kLanes) {
    const Lanes d = load(x + j) - mean;
    squares += d * d;
  }
  float variance = sum_of(squares);
  for (std::size_t j = whole; j < width; ++j) variance += (x[j] - mean) * (x[j] - mean);
  const float inverse = 1.0F / std::sqrt(variance / n + 1e-5F);
  for (std::size_t j = 0; j < width; ++j) y[j] = (x[j] - mean) * inverse * gain[j] + bias[j];
  statistics[0] = mean;
  statistics[1] = inverse;
}

OW_KERNEL void layer_norm(const float* x, const float* gain, const float* bias, std::size_t rows,
                          std::size_t width, float* y, float* statistics) {
  for (std::size_t r = 0; r < rows; ++r)
    norm_row(x + r * width, gain, bias, width, y + r * width, statistics + 2 * r);
}

OW_KERNEL void residual_norm(float* y, const float* bias, const float* residual, const float* gain,
                             const float* norm_bias, std::size_t rows, std::size_t width,
                             float* norm, float* statistics) {
  for (std::size_t r = 0; r < rows; ++r, y += width, residual += width) {
    for (std::size_t j = 0; j < width; ++j) y[j] += residual[j] + bias[j];
    norm_row(y, gain, norm_bias, width, norm + r * width, statistics + 2 * r);
  }
}

OW_KERNEL void layer_norm_backward(const float* dy, const float* x, const float* gain,
                                   const float* statistics, std::size_t rows, std::size_t width,
                                   const float* carry, float* dx, float* dgain, float* dbias) {
  const float n = static_cast<float>(width);
  const std::size_t whole = width / kLanes * kLanes;
  for (std::size_t r = 0; r < rows; ++r) {
    const float mean = statistics[2 * r];
    const float inverse = statistics[2 * r + 1];
    Lanes sums{};
    Lanes products{};
    for (std::size_t j = 0; j < whole; j += kLanes) {
      const Lanes g = load(dy + j) * load(gain + j);
      sums += g;
      products += g * ((load(x + j) - mean) * inverse);
    }
    float mean_g = sum_of(sums);
    float mean_gh = sum_of(products);
    for (std::size_t j = whole; j < width; ++j) {
      const float g = dy[j] * gain[j];
      mean_g += g;
      mean_gh += g * ((x[j] - mean) * inverse);
    }
    mean_g /= n;
    mean_gh /= n;
    for (std::size_t j = 0; j < width; ++j) {
      const float h = (x[j] - mean) * inverse;
      dx[j] = carry[j] + inverse * (dy[j] * gain[j] - mean_g - h * mean_gh);
    }
    if (dgain != nullptr) {
      for (std::size_t j = 0; j < width; ++j) {
        dgain[j] += dy[j] * ((x[j] - mean) * inverse);
        dbias[j] += dy[j];
      }
    }
    dy += width;
    x += width;
    carry += width;
    dx += width;
  }
}

OW_KERNEL void add_bias(float* y, const float* bias, std::size_t rows, std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r, y += width) {
    for (std::size_t j = 0; j < width; ++j) y[j] += bias[j];
  }
}

OW_KERNEL void add_bias_residual(float* y, const float* bias, const float* residual,
                                 std::size_t rows, std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r, y += width, residual += width) {
    for (std::size_t j = 0; j < width; ++j) y[j] += residual[j] + bias[j];
  }
}

constexpr float kGeluScale = 0.7978845608F;  // sqrt(2 / pi)
constexpr float kGeluCube = 0.044715F;

// 0.5 (1 + tanh(u)) is 1 / (1 + e^(-2u)): one exponential instead of a tanh.
OW_INLINE Lanes gelu_gate(const Lanes& x) {
  return 1.0F / (1.0F + exp_of(x * (-2.0F * kGeluScale) * (1.0F + kGeluCube * x * x)));
}
OW_INLINE Lanes gelu_slope(const Lanes& x) {
  const Lanes s = gelu_gate(x);
  const Lanes slope = (2.0F * kGeluScale) * (1.0F + 3.0F * kGeluCube * x * x);
  return s + x * s * (1.0F - s) * slope;
}

OW_KERNEL void bias_gelu(float* hidden, const float* bias, std::size_t rows, std::size_t width,
                         float* y) {
  const std::size_t whole = width / kLanes * kLanes;
  for (std::size_t r = 0; r < rows; ++r, hidden += width, y += width) {
    for (std::size_t j = 0; j < whole; j += kLanes) {
      const Lanes x = load(hidden + j) + load(bias + j);
      store(hidden + j, x);
      store(y + j, x * gelu_gate(x));
    }
    if (whole == width) continue;
    const std::size_t rest = width - whole;
    const Lanes x = load_part(hidden + whole, rest, 0) + load_part(bias + whole, rest, 0);
    store_part(hidden + whole, x, rest);
    store_part(y + whole, x * gelu_gate(x), rest);
  }
}

OW_KERNEL void gelu_backward(const float* hidden, float* d, std::size_t count) {
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t j = 0; j < whole; j += kLanes)
    store(d + j, load(d + j) * gelu_slope(load(hidden + j)));
  if (whole == count) return;
  const std::size_t rest = count - whole;
  store_part(d + whole,
             load_part(d + whole, rest, 0) * gelu_slope(load_part(hidden + whole, rest, 0)), rest);
}

OW_KERNEL void bias_relu(float* y, const float* bias, std::size_t rows, std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r, y += width) {
    for (std::size_t j = 0; j < width; ++j) {
      const float x = y[j] + bias[j];
      y[j] = x < 0.0F ? 0.0F : x;  // so that a NaN stays one
    }
  }
}

OW_KERNEL void relu_backward(const float* y, float* d, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) d[i] = y[i] == 0.0F ? 0.0F : d[i];
}

OW_KERNEL double cross_entropy(float* logits, const std::int32_t* targets, std::size_t rows,
                               std::size_t classes, float weight) {
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r, logits += classes) {
    const auto target = static_cast<std::size_t>(targets[r]);
    const float most = largest_in(logits, classes);
    const float hit = logits[target];
    const float sum = exp_row(logits, classes, 1.0F, most);
    loss += static_cast<double>(std::log(sum) + (most - hit));
    if (weight <= 0) continue;
    const float scale = weight / sum;
    for (std::size_t j = 0; j < classes; ++j) logits[j] *= scale;
    logits[target] -= weight;
  }
  return loss;
}

OW_KERNEL double squared_error(float* y, const float* targets, std::size_t count, float weight) {
  double loss = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float d = y[i] - targets[i];
    loss += static_cast<double>(d) * static_cast<double>(d);
    if (weight > 0) y[i] = 2 * weight * d;
  }
  return loss;
}

OW_KERNEL void column_sums(const float* d, std::size_t rows, std::size_t width, std::size_t begin,
                           std::size_t end, float* sums) {
  for (std::size_t r = 0; r < rows; ++r, d += width) {
    for (std::size_t j = begin; j < end; ++j) sums[j] += d[j];
  }
}

OW_KERNEL void embed(const std::int32_t* tokens, const float* wte, const float* wpe,
                     std::size_t rows, std::size_t first, std::size_t context, std::size_t width,
                     float* y) {
  for (std::size_t r = 0; r < rows; ++r, y += width) {
    const float* word = wte + static_cast<std::size_t>(tokens[r]) * width;
    const float* place = wpe + (first + r) % context * width;
    for (std::size_t j = 0; j < width; ++j) y[j] = word[j] + place[j];
  }
}

OW_KERNEL void embed_backward(const std::int32_t* tokens, const float* d, std::size_t rows,
                              std::size_t context, std::size_t width, std::size_t begin,
                              std::size_t end, float* wte, float* wpe) {
  for (std::size_t r = 0; r < rows; ++r, d += width) {
    if (wte != nullptr) {
      float* word = wte + static_cast<std::size_t>(tokens[r]) * width;
      for (std::size_t j = begin; j < end; ++j) word[j] += d[j];
    }
    if (wpe != nullptr) {
      float* place = wpe + r % context * width;
      for (std::size_t j = begin; j < end; ++j) place[j] += d[j];
    }
  }
}

OW_KERNEL double sum_of_squares(const float* values, std::size_t count) {
  const std::size_t whole = count / kLanes * kLanes;
  DoubleLanes sums{};
  for (std::size_t i = 0; i < whole; i += kLanes) {
    WholeLanes narrow_values;
    std::memcpy(&narrow_values, values + i, sizeof(narrow_values));
    const DoubleLanes v = __builtin_convertvector(narrow_values, DoubleLanes);
    sums += v * v;
  }
  double total = 0;
  for (std::size_t i = 0; i < kLanes; ++i) total += sums[i];
  for (std::size_t i = whole; i < count; ++i)
    total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return total;
}

OW_KERNEL void adamw(float* __restrict weights, const float* __restrict gradients,
                     float* __restrict first, float* __restrict second, std::size_t count,
                     const AdamwStep& step) {
  const float keep = 1.0F - step.learning_rate * step.weight_decay;
  const float rate = step.learning_rate / step.correction1;
  const float inverse = 1.0F / std::sqrt(step.correction2);
  const float beta1 = step.beta1;
  const float beta2 = step.beta2;
  const float rest1 = step.rest1;
  const float rest2 = step.rest2;
  const float epsilon = step.epsilon;
  const float scale = step.gradient_scale;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradients[i] * scale;
    const float m = beta1 * first[i] + rest1 * g;
    const float v = beta2 * second[i] + rest2 * (g * g);
    first[i] = m;
    second[i] = v;
    weights[i] = weights[i] * keep - rate * m / (std::sqrt(v) * inverse + epsilon);
  }
}

OW_KERNEL void sgd(float* __restrict weights, const float* __restrict gradients,
                   float* __restrict velocity, std::size_t count, const SgdStep& step) {
  const float momentum = step.momentum;
  const float decay = step.weight_decay;
  const float rate = step.learning_rate;
  const float scale = step.gradient_scale;
  for (std::size_t i = 0; i < count; ++i) {
    float g = gradients[i] * scale + decay * weights[i];
    if (velocity != nullptr) {
      g += momentum * velocity[i];
      velocity[i] = g;
    }
    weights[i] -= rate * g;
  }
}

constexpr TrainKernels table_of(std::string_view name) {
  return {name,
          layer_norm,
          layer_norm_backward,
          add_bias,
          add_bias_residual,
          residual_norm,
          bias_gelu,
          gelu_backward,
          bias_relu,
          relu_backward,
          causal_softmax,
          causal_probabilities,
          causal_softmax_backward,
          small_product,
          transpose,
          cross_entropy,
          squared_error,
          column_sums,
          embed,
          embed_backward,
          sum_of_squares,
          adamw,
          sgd};
}

}  // namespace overwinter::worker::OW_KERNEL_LEVEL
