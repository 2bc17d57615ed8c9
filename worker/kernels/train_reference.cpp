#include "worker/kernels/train_reference.h"

#include <cmath>
#include <vector>

namespace overwinter::worker::reference {

template <class T>
void layer_norm(const T* x, const T* gain, const T* bias, std::size_t rows, std::size_t width,
                T* y) {
  const T n = static_cast<T>(width);
  for (std::size_t r = 0; r < rows; ++r, x += width, y += width) {
    T mean = 0;
    for (std::size_t j = 0; j < width; ++j) mean += x[j] / n;
    T variance = 0;
    for (std::size_t j = 0; j < width; ++j) variance += (x[j] - mean) * (x[j] - mean) / n;
    const T inverse = T(1) / std::sqrt(variance + T(1e-5));
    for (std::size_t j = 0; j < width; ++j) y[j] = (x[j] - mean) * inverse * gain[j] + bias[j];
  }
}

// With h = (x - mean) * inverse and g = dy * gain:
// dx = inverse * (g - mean(g) - h * mean(g h)).
template <class T>
void layer_norm_backward(const T* dy, const T* x, const T* gain, std::size_t rows,
                         std::size_t width, const T* carry, T* dx, T* dgain, T* dbias) {
  const T n = static_cast<T>(width);
  for (std::size_t r = 0; r < rows; ++r, x += width, dy += width, carry += width, dx += width) {
    T mean = 0;
    for (std::size_t j = 0; j < width; ++j) mean += x[j] / n;
    T variance = 0;
    for (std::size_t j = 0; j < width; ++j) variance += (x[j] - mean) * (x[j] - mean) / n;
    const T inverse = T(1) / std::sqrt(variance + T(1e-5));
    T mean_g = 0;
    T mean_gh = 0;
    for (std::size_t j = 0; j < width; ++j) {
      const T h = (x[j] - mean) * inverse;
      mean_g += dy[j] * gain[j] / n;
      mean_gh += dy[j] * gain[j] * h / n;
      if (dgain != nullptr) dgain[j] += dy[j] * h;
      if (dbias != nullptr) dbias[j] += dy[j];
    }
    for (std::size_t j = 0; j < width; ++j) {
      const T h = (x[j] - mean) * inverse;
      dx[j] = carry[j] + inverse * (dy[j] * gain[j] - mean_g - h * mean_gh);
    }
  }
}

template <class T>
void linear(const T* x, const T* w, const T* bias, std::size_t rows, std::size_t inputs,
            std::size_t outputs, T* y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < outputs; ++j) {
      T sum = bias == nullptr ? T(0) : bias[j];
      for (std::size_t i = 0; i < inputs; ++i) sum += x[r * inputs + i] * w[i * outputs + j];
      y[r * outputs + j] = sum;
    }
  }
}

template <class T>
void linear_backward(const T* dy, const T* x, const T* w, std::size_t rows, std::size_t inputs,
                     std::size_t outputs, T* dx, T* dw, T* dbias) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < inputs; ++i) {
      T sum = 0;
      for (std::size_t j = 0; j < outputs; ++j) {
        sum += dy[r * outputs + j] * w[i * outputs + j];
        if (dw != nullptr) dw[i * outputs + j] += x[r * inputs + i] * dy[r * outputs + j];
      }
      if (dx != nullptr) dx[r * inputs + i] = sum;
    }
    for (std::size_t j = 0; j < outputs && dbias != nullptr; ++j) dbias[j] += dy[r * outputs + j];
  }
}

namespace {
constexpr double kGeluScale = 0.79788456080286535588;  // sqrt(2 / pi)
constexpr double kGeluCube = 0.044715;
}  // namespace

template <class T>
T gelu(T x) {
  const T u = static_cast<T>(kGeluScale) * (x + static_cast<T>(kGeluCube) * x * x * x);
  return T(0.5) * x * (T(1) + std::tanh(u));
}

template <class T>
T gelu_slope(T x) {
  const T u = static_cast<T>(kGeluScale) * (x + static_cast<T>(kGeluCube) * x * x * x);
  const T du = static_cast<T>(kGeluScale) * (T(1) + T(3) * static_cast<T>(kGeluCube) * x * x);
  const T t = std::tanh(u);
  return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * du;
}

namespace {

// The probabilities of one head's queries over all keys: tokens x tokens, 0 behind the query.
template <class T>
std::vector<T> probabilities(const T* qkv, std::size_t tokens, std::size_t head, std::size_t size,
                             std::size_t width) {
  std::vector<T> p(tokens * tokens, T(0));
  for (std::size_t i = 0; i < tokens; ++i) {
    const T* q = qkv + i * 3 * width + head * size;
    T most = -INFINITY;
    for (std::size_t j = 0; j <= i; ++j) {
      const T* k = qkv + j * 3 * width + width + head * size;
      T dot = 0;
      for (std::size_t l = 0; l < size; ++l) dot += q[l] * k[l];
      p[i * tokens + j] = dot / std::sqrt(static_cast<T>(size));
      most = std::max(most, p[i * tokens + j]);
    }
    T sum = 0;
    for (std::size_t j = 0; j <= i; ++j) sum += std::exp(p[i * tokens + j] - most);
    for (std::size_t j = 0; j <= i; ++j)
      p[i * tokens + j] = std::exp(p[i * tokens + j] - most) / sum;
  }
  return p;
}

}  // namespace

template <class T>
void attention(const T* qkv, std::size_t tokens, std::size_t heads, std::size_t width, T* y) {
  const std::size_t size = width / heads;
  for (std::size_t head = 0; head < heads; ++head) {
    const std::vector<T> p = probabilities(qkv, tokens, head, size, width);
    for (std::size_t i = 0; i < tokens; ++i) {
      for (std::size_t l = 0; l < size; ++l) {
        T sum = 0;
        for (std::size_t j = 0; j <= i; ++j)
          sum += p[i * tokens + j] * qkv[j * 3 * width + 2 * width + head * size + l];
        y[i * width + head * size + l] = sum;
      }
    }
  }
}

template <class T>
void attention_backward(const T* dy, const T* qkv, std::size_t tokens, std::size_t heads,
                        std::size_t width, T* dqkv) {
  const std::size_t size = width / heads;
  const T scale = T(1) / std::sqrt(static_cast<T>(size));
  for (std::size_t i = 0; i < tokens * 3 * width; ++i) dqkv[i] = 0;
  for (std::size_t head = 0; head < heads; ++head) {
    const std::vector<T> p = probabilities(qkv, tokens, head, size, width);
    for (std::size_t i = 0; i < tokens; ++i) {
      const T* d = dy + i * width + head * size;
      std::vector<T> dp(i + 1, T(0));
      T mean = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        const std::size_t v = j * 3 * width + 2 * width + head * size;
        for (std::size_t l = 0; l < size; ++l) {
          dp[j] += d[l] * qkv[v + l];
          dqkv[v + l] += p[i * tokens + j] * d[l];
        }
        mean += p[i * tokens + j] * dp[j];
      }
      for (std::size_t j = 0; j <= i; ++j) {
        const T ds = p[i * tokens + j] * (dp[j] - mean) * scale;
        const std::size_t q = i * 3 * width + head * size;
        const std::size_t k = j * 3 * width + width + head * size;
        for (std::size_t l = 0; l < size; ++l) {
          dqkv[q + l] += ds * qkv[k + l];
          dqkv[k + l] += ds * qkv[q + l];
        }
      }
    }
  }
}

template <class T>
T cross_entropy(const T* logits, const std::int32_t* targets, std::size_t rows,
                std::size_t classes) {
  T loss = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = logits + r * classes;
    T most = row[0];
    for (std::size_t j = 1; j < classes; ++j) most = std::max(most, row[j]);
    T sum = 0;
    for (std::size_t j = 0; j < classes; ++j) sum += std::exp(row[j] - most);
    loss += std::log(sum) + most - row[targets[r]];
  }
  return loss;
}

template <class T>
void cross_entropy_backward(const T* logits, const std::int32_t* targets, std::size_t rows,
                            std::size_t classes, T weight, T* d) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = logits + r * classes;
    T most = row[0];
    for (std::size_t j = 1; j < classes; ++j) most = std::max(most, row[j]);
    T sum = 0;
    for (std::size_t j = 0; j < classes; ++j) sum += std::exp(row[j] - most);
    for (std::size_t j = 0; j < classes; ++j) {
      const T hit = static_cast<std::size_t>(targets[r]) == j ? T(1) : T(0);
      d[r * classes + j] = weight * (std::exp(row[j] - most) / sum - hit);
    }
  }
}

template <class T>
T squared_error(const T* y, const T* targets, std::size_t count) {
  T loss = 0;
  for (std::size_t i = 0; i < count; ++i) loss += (y[i] - targets[i]) * (y[i] - targets[i]);
  return loss;
}

template <class T>
void embed(const std::int32_t* tokens, const T* wte, const T* wpe, std::size_t rows,
           std::size_t context, std::size_t width, T* y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < width; ++j)
      y[r * width + j] =
          wte[static_cast<std::size_t>(tokens[r]) * width + j] + wpe[r % context * width + j];
  }
}

template <class T>
void embed_backward(const std::int32_t* tokens, const T* d, std::size_t rows, std::size_t context,
                    std::size_t width, T* wte, T* wpe) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < width; ++j) {
      wte[static_cast<std::size_t>(tokens[r]) * width + j] += d[r * width + j];
      wpe[r % context * width + j] += d[r * width + j];
    }
  }
}

void adamw(double* weights, const double* gradients, double* first, double* second,
           std::size_t count, const AdamwStep& step) {
  const auto d = [](float v) { return static_cast<double>(v); };
  for (std::size_t i = 0; i < count; ++i) {
    const double g = gradients[i] * d(step.gradient_scale);
    weights[i] *= 1 - d(step.learning_rate) * d(step.weight_decay);
    first[i] = d(step.beta1) * first[i] + d(step.rest1) * g;
    second[i] = d(step.beta2) * second[i] + d(step.rest2) * g * g;
    const double mean = first[i] / d(step.correction1);
    const double square = second[i] / d(step.correction2);
    weights[i] -= d(step.learning_rate) * mean / (std::sqrt(square) + d(step.epsilon));
  }
}

void sgd(double* weights, const double* gradients, double* velocity, std::size_t count,
         const SgdStep& step) {
  const auto d = [](float v) { return static_cast<double>(v); };
  for (std::size_t i = 0; i < count; ++i) {
    const double g = gradients[i] * d(step.gradient_scale) + d(step.weight_decay) * weights[i];
    velocity[i] = d(step.momentum) * velocity[i] + g;
    weights[i] -= d(step.learning_rate) * velocity[i];
  }
}

#define OW_REFERENCE(T)                                                                            \
  template void layer_norm(const T*, const T*, const T*, std::size_t, std::size_t, T*);            \
  template void layer_norm_backward(const T*, const T*, const T*, std::size_t, std::size_t,        \
                                    const T*, T*, T*, T*);                                         \
  template void linear(const T*, const T*, const T*, std::size_t, std::size_t, std::size_t, T*);   \
  template void linear_backward(const T*, const T*, const T*, std::size_t, std::size_t,            \
                                std::size_t, T*, T*, T*);                                          \
  template T gelu(T);                                                                              \
  template T gelu_slope(T);                                                                        \
  template void attention(const T*, std::size_t, std::size_t, std::size_t, T*);                    \
  template void attention_backward(const T*, const T*, std::size_t, std::size_t, std::size_t, T*); \
  template T cross_entropy(const T*, const std::int32_t*, std::size_t, std::size_t);               \
  template void cross_entropy_backward(const T*, const std::int32_t*, std::size_t, std::size_t, T, \
                                       T*);                                                        \
  template T squared_error(const T*, const T*, std::size_t);                                       \
  template void embed(const std::int32_t*, const T*, const T*, std::size_t, std::size_t,           \
                      std::size_t, T*);                                                            \
  template void embed_backward(const std::int32_t*, const T*, std::size_t, std::size_t,            \
                               std::size_t, T*, T*);
OW_REFERENCE(float)
OW_REFERENCE(double)
#undef OW_REFERENCE

}  // namespace overwinter::worker::reference
