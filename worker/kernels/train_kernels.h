// What a training does beside products: each operation once for every instruction set, chosen at
// run time, and each with a slow, obvious twin in train_reference.h.
//
// All matrices are row-major and dense: rows x width. No call allocates, none overlaps its inputs
// unless it says "in place". Sums that an operation makes run over a fixed number of lanes, so the
// same machine gives the same bits again. Not synchronised: callers give each thread rows of its
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace overwinter::worker {

// One step of AdamW (Loshchilov and Hutter, as torch.optim.AdamW): decay apart from the gradient.
struct AdamwStep {
  float learning_rate = 0;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float rest1 = 0.1F;  // 1 - beta1 and 1 - beta2, rounded once: 1 - 0.999F has lost three digits
  float rest2 = 0.001F;
  float epsilon = 1e-8F;
  float weight_decay = 0;
  float correction1 = 1;     // 1 - beta1^t
  float correction2 = 1;     // 1 - beta2^t
  float gradient_scale = 1;  // of clipping
};

// One step of SGD as torch.optim.SGD: decay is added to the gradient, momentum to that.
struct SgdStep {
  float learning_rate = 0;
  float momentum = 0;
  float weight_decay = 0;
  float gradient_scale = 1;
};

struct TrainKernels {
  std::string_view name;

  // y = (x - mean) / sqrt(variance + 1e-5) * gain + bias for each row; statistics: mean and
  // 1 / sqrt(variance + 1e-5) of each row (rows x 2).
  void (*layer_norm)(const float* x, const float* gain, const float* bias, std::size_t rows,
                     std::size_t width, float* y, float* statistics);
  // dx = carry + the gradient of x. dgain and dbias (width each) are added to; both or neither may
  // be null. carry may be dx.
  void (*layer_norm_backward)(const float* dy, const float* x, const float* gain,
                              const float* statistics, std::size_t rows, std::size_t width,
                              const float* carry, float* dx, float* dgain, float* dbias);

  // y += bias, in each row.
  void (*add_bias)(float* y, const float* bias, std::size_t rows, std::size_t width);
  // y += residual + bias.
  void (*add_bias_residual)(float* y, const float* bias, const float* residual, std::size_t rows,
                            std::size_t width);
  // y += residual + bias, and the norm of that: layer_norm's x is y.
  void (*residual_norm)(float* y, const float* bias, const float* residual, const float* gain,
                        const float* norm_bias, std::size_t rows, std::size_t width, float* norm,
                        float* statistics);
  // hidden += bias; y = gelu(hidden), the form with tanh.
  void (*bias_gelu)(float* hidden, const float* bias, std::size_t rows, std::size_t width,
                    float* y);
  // d *= gelu'(hidden).
  void (*gelu_backward)(const float* hidden, float* d, std::size_t count);
  // y = max(y + bias, 0).
  void (*bias_relu)(float* y, const float* bias, std::size_t rows, std::size_t width);
  // d = 0 where y is 0.
  void (*relu_backward)(const float* y, float* d, std::size_t count);

  // A block of attention scores: row i is query first + i, its keys are 0 … first + i, `stride`
  // apart from the next row. In place scores become probabilities softmax(scale * score), 0 for
  // keys behind the query up to first + rows; log_sums[i] is the logarithm of the denominators.
  void (*causal_softmax)(float* scores, std::size_t rows, std::size_t first, std::size_t stride,
                         float scale, float* log_sums);
  // The same probabilities again from scores and the logarithms.
  void (*causal_probabilities)(float* scores, std::size_t rows, std::size_t first,
                               std::size_t stride, float scale, const float* log_sums);
  // From probabilities and the gradients of them, in place: gradients of scores.
  void (*causal_softmax_backward)(const float* probabilities, float* d, std::size_t rows,
                                  std::size_t first, std::size_t stride, float scale);

  // c (m x n) = a b, or c += a b, for products that a call of a library would cost more than it
  // brings: nothing is packed, so b's rows (k of them) should lie in a core's cache. Element (i, l)
  // of a is a[i * a_row + l * a_column].
  void (*small_product)(std::size_t m, std::size_t n, std::size_t k, const float* a,
                        std::size_t a_row, std::size_t a_column, const float* b, std::size_t b_row,
                        float* c, std::size_t c_row, bool add);
  // to[j * to_row + i] = from[i * from_row + j].
  void (*transpose)(const float* from, std::size_t rows, std::size_t columns, std::size_t from_row,
                    float* to, std::size_t to_row);

  // The sum over rows of -log softmax(logits)[target]. With `weight` above 0 logits become
  // weight * the gradient of that sum. Targets lie in [0, classes).
  double (*cross_entropy)(float* logits, const std::int32_t* targets, std::size_t rows,
                          std::size_t classes, float weight);
  // The sum over all of (y - target)^2. With `weight` above 0 y becomes weight * its gradient.
  double (*squared_error)(float* y, const float* targets, std::size_t count, float weight);

  // sums[j] += the sum of column j of d over all rows, for columns [begin, end).
  void (*column_sums)(const float* d, std::size_t rows, std::size_t width, std::size_t begin,
                      std::size_t end, float* sums);
  // y = wte[token] + wpe[position], position counting from `first` modulo `context`.
  void (*embed)(const std::int32_t* tokens, const float* wte, const float* wpe, std::size_t rows,
                std::size_t first, std::size_t context, std::size_t width, float* y);
  // Columns [begin, end) of d are added to the rows of the tables; either may be null.
  void (*embed_backward)(const std::int32_t* tokens, const float* d, std::size_t rows,
                         std::size_t context, std::size_t width, std::size_t begin, std::size_t end,
                         float* wte, float* wpe);

  double (*sum_of_squares)(const float* values, std::size_t count);
  // weights, first and second moments in place, in one pass.
  void (*adamw)(float* weights, const float* gradients, float* first, float* second,
                std::size_t count, const AdamwStep& step);
  // velocity may be null when momentum is 0.
  void (*sgd)(float* weights, const float* gradients, float* velocity, std::size_t count,
              const SgdStep& step);
};

enum class KernelLevel { kBaseline, kAvx2, kAvx512 };

// The best that this processor runs. kBaseline is any x86-64.
[[nodiscard]] KernelLevel best_kernel_level();
// A level above the best may not be called.
[[nodiscard]] const TrainKernels& train_kernels(KernelLevel level);

}  // namespace overwinter::worker
