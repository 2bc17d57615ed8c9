// Operations on single elements: (*this)(i) does element i. As in row_ops.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "worker/cuda/team.h"
#include "worker/kernels/train_kernels.h"

namespace overwinter::worker::cuda {

struct AddBias {
  float* y;
  const float* bias;
  std::size_t width;
  OW_BOTH void operator()(std::size_t i) const { y[i] += bias[i % width]; }
};

struct AddBiasResidual {
  float* y;
  const float *bias, *residual;
  std::size_t width;
  OW_BOTH void operator()(std::size_t i) const { y[i] += residual[i] + bias[i % width]; }
};

inline constexpr float kGeluSlope = 0.7978845608F;  // sqrt(2 / pi)
inline constexpr float kGeluBend = 0.044715F;

// 0.5 (1 + tanh(u)) is 1 / (1 + e^(-2u)).
OW_BOTH inline float gelu_share(float x) {
  return 1.0F / (1.0F + exp_of(x * (-2.0F * kGeluSlope) * (1.0F + kGeluBend * x * x)));
}

struct BiasGelu {
  float* hidden;
  const float* bias;
  std::size_t width;
  float* y;
  OW_BOTH void operator()(std::size_t i) const {
    const float x = hidden[i] + bias[i % width];
    hidden[i] = x;
    y[i] = x * gelu_share(x);
  }
};

struct GeluBackward {
  const float* hidden;
  float* d;
  OW_BOTH void operator()(std::size_t i) const {
    const float x = hidden[i];
    const float s = gelu_share(x);
    const float slope = (2.0F * kGeluSlope) * (1.0F + 3.0F * kGeluBend * x * x);
    // Where the gate is closed or open its slope is 0, however large x is.
    const float bend = s * (1.0F - s);
    d[i] *= bend == 0.0F ? s : s + x * bend * slope;
  }
};

struct BiasRelu {
  float* y;
  const float* bias;
  std::size_t width;
  OW_BOTH void operator()(std::size_t i) const {
    const float x = y[i] + bias[i % width];
    y[i] = x < 0.0F ? 0.0F : x;  // so that a NaN stays one
  }
};

struct ReluBackward {
  const float* y;
  float* d;
  OW_BOTH void operator()(std::size_t i) const { d[i] = y[i] == 0.0F ? 0.0F : d[i]; }
};

struct AdamwElement {
  float* weights;
  const float* gradients;
  float *first, *second;
  float keep, rate, inverse, beta1, beta2, rest1, rest2, epsilon, scale;

  AdamwElement(float* w, const float* g, float* m, float* v, const AdamwStep& step)
      : weights(w),
        gradients(g),
        first(m),
        second(v),
        keep(1.0F - step.learning_rate * step.weight_decay),
        rate(step.learning_rate / step.correction1),
        inverse(1.0F / ::sqrtf(step.correction2)),
        beta1(step.beta1),
        beta2(step.beta2),
        rest1(step.rest1),
        rest2(step.rest2),
        epsilon(step.epsilon),
        scale(step.gradient_scale) {}

  OW_BOTH void operator()(std::size_t i) const {
    const float g = gradients[i] * scale;
    const float m = beta1 * first[i] + rest1 * g;
    const float v = beta2 * second[i] + rest2 * (g * g);
    first[i] = m;
    second[i] = v;
    weights[i] = weights[i] * keep - rate * m / (root_of(v) * inverse + epsilon);
  }
};

struct SgdElement {
  float* weights;
  const float* gradients;
  float* velocity;  // may be null
  float momentum, decay, rate, scale;

  SgdElement(float* w, const float* g, float* v, const SgdStep& step)
      : weights(w),
        gradients(g),
        velocity(v),
        momentum(step.momentum),
        decay(step.weight_decay),
        rate(step.learning_rate),
        scale(step.gradient_scale) {}

  OW_BOTH void operator()(std::size_t i) const {
    float g = gradients[i] * scale + decay * weights[i];
    if (velocity != nullptr) {
      g += momentum * velocity[i];
      velocity[i] = g;
    }
    weights[i] -= rate * g;
  }
};

// C = beta C; beta = 0 writes it unread. Whole numbers wrap.
template <class Sum>
struct ScaleElement {
  Sum* c;
  std::size_t columns, stride;
  Sum beta;
  OW_BOTH void operator()(std::size_t i) const {
    Sum& x = c[i / columns * stride + i % columns];
    if (beta == Sum(0)) {
      x = Sum(0);
    } else if constexpr (std::is_integral_v<Sum>) {
      x = static_cast<Sum>(static_cast<std::uint32_t>(beta) * static_cast<std::uint32_t>(x));
    } else {
      x = beta * x;
    }
  }
};

// C = alpha S + beta C modulo 2^32, S dense but for its stride.
struct FinishInt32 {
  const std::int32_t* sums;
  std::size_t sums_stride;
  std::int32_t* c;
  std::size_t columns, stride;
  std::int32_t alpha, beta;
  OW_BOTH void operator()(std::size_t i) const {
    std::int32_t& x = c[i / columns * stride + i % columns];
    const auto sum = static_cast<std::uint32_t>(sums[i / columns * sums_stride + i % columns]);
    std::uint32_t now = static_cast<std::uint32_t>(alpha) * sum;
    if (beta != 0) now += static_cast<std::uint32_t>(beta) * static_cast<std::uint32_t>(x);
    x = static_cast<std::int32_t>(now);
  }
};

// A rows x columns matrix of bytes into one with longer rows, whose rest is 0; from its transpose
// where `transposed` is set. i counts elements of the larger one.
struct PadBytes {
  const std::int8_t* from;
  std::size_t from_stride;
  bool transposed;
  std::size_t rows, columns;
  std::int8_t* to;
  std::size_t to_stride;
  OW_BOTH void operator()(std::size_t i) const {
    const std::size_t row = i / to_stride;
    const std::size_t column = i % to_stride;
    std::int8_t value = 0;
    if (row < rows && column < columns)
      value = transposed ? from[column * from_stride + row] : from[row * from_stride + column];
    to[i] = value;
  }
};

}  // namespace overwinter::worker::cuda
