// DeviceKernels over any Launcher, which runs operations:
//
//   Status rows(n, op)        op(team, r) for r of [0, n), a team of kRowLanes each
//   Status elements(n, op)    op(i) for i of [0, n)
//   Status blocks(op)         op(team, b, shared) for b of [0, op.blocks()), a team of kBlockLanes
//                             and Op::kSharedFloats of shared memory each
//
// The host's and the GPU's differ in these three alone.
#pragma once

#include "worker/cuda/attention_backward_ops.h"
#include "worker/cuda/column_ops.h"
#include "worker/cuda/device_kernels.h"
#include "worker/cuda/element_ops.h"

namespace overwinter::worker::cuda {

template <class Launcher>
class KernelsOver final : public DeviceKernels {
 public:
  explicit KernelsOver(Launcher launcher) : launcher_(launcher) {}

  Status layer_norm(const float* x, const float* gain, const float* bias, std::size_t rows,
                    std::size_t width, float* y, float* statistics) override {
    return launcher_.rows(rows, LayerNormRow{x, gain, bias, width, y, statistics});
  }
  // The sums first: dx may be the memory of dy or of carry.
  Status layer_norm_backward(const float* dy, const float* x, const float* gain,
                             const float* statistics, std::size_t rows, std::size_t width,
                             const float* carry, float* dx, float* dgain, float* dbias) override {
    if (dgain != nullptr) {
      const SumColumns<NormGainValue> sums{{dy, x, statistics, width}, rows, 0, width, dgain};
      if (Status s = launcher_.blocks(sums); !s.ok()) return s;
    }
    if (dbias != nullptr) {
      if (Status s = column_sums(dy, rows, width, 0, width, dbias); !s.ok()) return s;
    }
    return launcher_.rows(rows, LayerNormBackwardRow{dy, x, gain, statistics, width, carry, dx});
  }
  Status add_bias(float* y, const float* bias, std::size_t rows, std::size_t width) override {
    return launcher_.elements(rows * width, AddBias{y, bias, width});
  }
  Status add_bias_residual(float* y, const float* bias, const float* residual, std::size_t rows,
                           std::size_t width) override {
    return launcher_.elements(rows * width, AddBiasResidual{y, bias, residual, width});
  }
  Status bias_gelu(float* hidden, const float* bias, std::size_t rows, std::size_t width,
                   float* y) override {
    return launcher_.elements(rows * width, BiasGelu{hidden, bias, width, y});
  }
  Status gelu_backward(const float* hidden, float* d, std::size_t count) override {
    return launcher_.elements(count, GeluBackward{hidden, d});
  }
  Status bias_relu(float* y, const float* bias, std::size_t rows, std::size_t width) override {
    return launcher_.elements(rows * width, BiasRelu{y, bias, width});
  }
  Status relu_backward(const float* y, float* d, std::size_t count) override {
    return launcher_.elements(count, ReluBackward{y, d});
  }

  Status attention(const AttentionShape& shape, const float* qkv, float* y,
                   float* log_sums) override {
    if (shape.tokens * shape.sequences == 0) return Status::success();
    const float scale = 1.0F / ::sqrtf(static_cast<float>(shape.size()));
    return for_head_size(shape.size(), [&]<std::size_t kSize>() {
      return launcher_.blocks(AttentionForward<kSize>{shape, qkv, y, log_sums, scale});
    });
  }
  Status attention_backward(const AttentionShape& shape, const float* dy, const float* qkv,
                            const float* y, const float* log_sums, float* delta,
                            float* dqkv) override {
    if (shape.tokens * shape.sequences == 0) return Status::success();
    if (Status s = launcher_.rows(shape.sequences * shape.tokens * shape.heads,
                                  AttentionDelta{dy, y, shape.heads, shape.width, delta});
        !s.ok()) {
      return s;
    }
    const float scale = 1.0F / ::sqrtf(static_cast<float>(shape.size()));
    const AttentionGradient of{shape, dy, qkv, log_sums, delta, scale, dqkv};
    return for_head_size(shape.size(), [&]<std::size_t kSize>() {
      Status done = launcher_.blocks(AttentionQueryBackward<kSize>{of});
      if (!done.ok()) return done;
      return launcher_.blocks(AttentionKeyBackward<kSize>{of});
    });
  }

  Status cross_entropy(float* logits, const std::int32_t* targets, std::size_t rows,
                       std::size_t classes, float weight, double* losses) override {
    return launcher_.rows(rows, CrossEntropyRow{logits, targets, classes, weight, losses});
  }
  Status squared_error(float* y, const float* targets, std::size_t count, float weight,
                       double* partials) override {
    return launcher_.rows(kPartialSums, SquaredError{y, targets, count, weight, partials});
  }
  Status sum_of_squares(const float* values, std::size_t count, double* partials) override {
    return launcher_.rows(kPartialSums, SumOfSquares{values, count, partials});
  }
  Status sum(const double* values, std::size_t count, double* partials) override {
    return launcher_.rows(kPartialSums, SumOf{values, count, partials});
  }

  Status column_sums(const float* d, std::size_t rows, std::size_t width, std::size_t begin,
                     std::size_t end, float* sums) override {
    return launcher_.blocks(SumColumns<PlainValue>{{d, width}, rows, begin, end, sums});
  }
  Status embed(const std::int32_t* tokens, const float* wte, const float* wpe, std::size_t rows,
               std::size_t first, std::size_t context, std::size_t width, float* y) override {
    return launcher_.rows(rows, EmbedRow{tokens, wte, wpe, first, context, width, y});
  }
  Status embed_backward(const std::int32_t* tokens, const float* d, std::size_t rows,
                        std::size_t context, std::size_t width, float* wte, float* wpe) override {
    if (wte != nullptr) {
      const EmbedWordBackward words{tokens, d, rows, width, wte};
      if (Status s = launcher_.elements(kWordGroups * width, words); !s.ok()) return s;
    }
    if (wpe == nullptr) return Status::success();
    return launcher_.elements(context * width, EmbedPlaceBackward{d, rows, context, width, wpe});
  }

  Status adamw(float* weights, const float* gradients, float* first, float* second,
               std::size_t count, const AdamwStep& step) override {
    return launcher_.elements(count, AdamwElement(weights, gradients, first, second, step));
  }
  Status sgd(float* weights, const float* gradients, float* velocity, std::size_t count,
             const SgdStep& step) override {
    return launcher_.elements(count, SgdElement(weights, gradients, velocity, step));
  }

 private:
  // The least of the compiled sizes that holds a head.
  template <class Run>
  static Status for_head_size(std::size_t size, const Run& run) {
    if (size <= 32) return run.template operator()<32>();
    if (size <= 64) return run.template operator()<64>();
    if (size <= kHeadSizeMax) return run.template operator()<kHeadSizeMax>();
    return error(Code::kUnimplemented, "attention by tiles has heads of at most 128 columns");
  }

  Launcher launcher_;
};

}  // namespace overwinter::worker::cuda
