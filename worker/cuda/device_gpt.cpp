#include "worker/cuda/device_gpt.h"

#include <array>

namespace overwinter::worker::cuda {
namespace {

constexpr std::size_t kPieceFloats = 64;  // pieces begin on 256 bytes

std::size_t whole(std::size_t floats) {
  return (floats + kPieceFloats - 1) / kPieceFloats * kPieceFloats;
}

// Of one layer, in the order of Layer.
std::array<std::size_t, 12> layer_sizes(std::size_t c) {
  return {c, c, 3 * c * c, 3 * c, c * c, c, c, c, 4 * c * c, 4 * c, 4 * c * c, c};
}

// Runs steps until one fails.
template <class... Steps>
Status in_order(const Steps&... steps) {
  Status status = Status::success();
  (void)((status = steps(), status.ok()) && ...);
  return status;
}

}  // namespace

std::size_t GptShape::parameters() const {
  std::size_t sum = (vocabulary + context + 2) * width;
  for (const std::size_t size : layer_sizes(width)) sum += layers * size;
  return sum;
}

std::size_t GptShape::memory_bytes() const {
  const std::size_t plane = rows() * width;
  const std::size_t heads_plane = rows() * heads;
  std::size_t floats = 4 * whole(parameters());
  floats += layers * (4 * whole(plane) + 2 * whole(2 * rows()) + whole(3 * plane) +
                      whole(heads_plane) + 2 * whole(4 * plane));
  floats += layers * whole(plane);                                     // behind each
  floats += 2 * whole(plane) + whole(2 * rows());                      // embedded, the last norm
  floats += whole(rows() * vocabulary) + 2 * whole(plane);             // logits, dnorm, dstream
  floats += whole(3 * plane) + whole(4 * plane) + whole(heads_plane);  // their gradients
  floats += whole(2 * rows()) + whole(2 * kPartialSums) + 2 * whole(rows());
  return floats * sizeof(float);
}

DeviceGpt::DeviceGpt(Accelerator& device, const GptShape& shape)
    : device_(device), shape_(shape), kernels_(device.make_kernels()) {
  std::size_t at = 0;
  const auto next = [&](std::size_t size) {
    const std::size_t begin = at;
    at += size;
    return begin;
  };
  const std::size_t c = shape.width;
  next(shape.vocabulary * c);
  wpe_ = next(shape.context * c);
  for (std::size_t l = 0; l < shape.layers; ++l) {
    std::array<std::size_t, 12> o{};
    const auto sizes = layer_sizes(c);
    for (std::size_t i = 0; i < o.size(); ++i) o.at(i) = next(sizes.at(i));
    layers_.push_back({o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7], o[8], o[9], o[10], o[11]});
  }
  final_gain_ = next(c);
  final_bias_ = next(c);
}

float* DeviceGpt::take(std::size_t floats) {
  float* const begin = all_.as<float>() + taken_;
  taken_ += whole(floats);
  return begin;
}

Result<std::unique_ptr<DeviceGpt>> DeviceGpt::make(Accelerator& device, MemoryResource& memory,
                                                   const GptShape& shape, bool tf32) {
  std::unique_ptr<DeviceGpt> gpt(new DeviceGpt(device, shape));
  if (Status ready = gpt->prepare(memory, tf32); !ready.ok()) return fail(ready);
  return gpt;
}

Status DeviceGpt::prepare(MemoryResource& memory, bool tf32) {
  auto gemm = device_.make_gemm(memory, {.tf32 = tf32});
  if (!gemm) return gemm.error();
  gemm_ = *std::move(gemm);
  auto all = Buffer::make(memory, shape_.memory_bytes(), kPieceFloats * sizeof(float));
  if (!all) return all.error();
  all_ = *std::move(all);
  const std::size_t rows = shape_.rows();
  const std::size_t plane = rows * shape_.width;
  for (float** of : {&weights_, &gradients_, &first_, &second_}) *of = take(shape_.parameters());
  for (std::size_t l = 0; l < shape_.layers; ++l) {
    Kept k{};
    for (float** of : {&k.norm1, &k.attended, &k.middle, &k.norm2, &k.behind}) *of = take(plane);
    for (float** of : {&k.statistics1, &k.statistics2}) *of = take(2 * rows);
    k.qkv = take(3 * plane);
    k.log_sums = take(rows * shape_.heads);
    for (float** of : {&k.hidden, &k.activated}) *of = take(4 * plane);
    kept_.push_back(k);
  }
  for (float** of : {&embedded_, &final_norm_, &dnorm_, &dstream_}) *of = take(plane);
  final_statistics_ = take(2 * rows);
  logits_ = take(rows * shape_.vocabulary);
  dqkv_ = take(3 * plane);
  dhidden_ = take(4 * plane);
  delta_ = take(rows * shape_.heads);
  losses_ = reinterpret_cast<double*>(take(2 * rows));
  partials_ = reinterpret_cast<double*>(take(2 * kPartialSums));
  tokens_ = reinterpret_cast<std::int32_t*>(take(rows));
  targets_ = reinterpret_cast<std::int32_t*>(take(rows));
  return device_.clear(all_.data(), all_.size());
}

Status DeviceGpt::set_weights(std::span<const float> weights) {
  if (weights.size() != shape_.parameters())
    return error(Code::kInvalidArgument, "not as many weights as the model has");
  return device_.upload(bytes_copy(weights_, weights.data(), weights.size_bytes()));
}

namespace {

Result<std::vector<float>> fetched_floats(Accelerator& device, const float* from, std::size_t n) {
  std::vector<float> values(n);
  if (Status got = device.download(bytes_copy(values.data(), from, n * sizeof(float))); !got.ok())
    return fail(got);
  return values;
}

}  // namespace

Result<std::vector<float>> DeviceGpt::weights() const {
  return fetched_floats(device_, weights_, shape_.parameters());
}

Result<std::vector<float>> DeviceGpt::gradients() const {
  return fetched_floats(device_, gradients_, shape_.parameters());
}

Status DeviceGpt::times(const float* x, const float* w, std::size_t inputs, std::size_t outputs,
                        float* y) {
  return gemm_->gemm(Gemm<float>{.m = shape_.rows(),
                                 .n = outputs,
                                 .k = inputs,
                                 .a = x,
                                 .lda = inputs,
                                 .b = w,
                                 .ldb = outputs,
                                 .c = y,
                                 .ldc = outputs});
}

Status DeviceGpt::times_transposed(const float* dy, const float* w, std::size_t inputs,
                                   std::size_t outputs, float* dx) {
  return gemm_->gemm(Gemm<float>{.transpose_b = true,
                                 .m = shape_.rows(),
                                 .n = inputs,
                                 .k = outputs,
                                 .a = dy,
                                 .lda = outputs,
                                 .b = w,
                                 .ldb = outputs,
                                 .c = dx,
                                 .ldc = inputs});
}

Status DeviceGpt::weight_gradients(const float* x, const float* dy, std::size_t inputs,
                                   std::size_t outputs, float* dw, float* dbias) {
  Status done = gemm_->gemm(Gemm<float>{.transpose_a = true,
                                        .m = inputs,
                                        .n = outputs,
                                        .k = shape_.rows(),
                                        .a = x,
                                        .lda = inputs,
                                        .b = dy,
                                        .ldb = outputs,
                                        .beta = 1,
                                        .c = dw,
                                        .ldc = outputs});
  if (!done.ok() || dbias == nullptr) return done;
  return kernels_->column_sums(dy, shape_.rows(), outputs, 0, outputs, dbias);
}

Status DeviceGpt::forward_layer(const Layer& l, const Kept& k, const float* before) {
  const std::size_t n = shape_.rows();
  const std::size_t c = shape_.width;
  const AttentionShape attention{shape_.batch, shape_.context, shape_.heads, c};
  return in_order(
      [&] {
        return kernels_->layer_norm(before, w(l.norm1_gain), w(l.norm1_bias), n, c, k.norm1,
                                    k.statistics1);
      },
      [&] { return times(k.norm1, w(l.qkv), c, 3 * c, k.qkv); },
      [&] { return kernels_->add_bias(k.qkv, w(l.qkv_bias), n, 3 * c); },
      [&] { return kernels_->attention(attention, k.qkv, k.attended, k.log_sums); },
      [&] { return times(k.attended, w(l.proj), c, c, k.middle); },
      [&] { return kernels_->add_bias_residual(k.middle, w(l.proj_bias), before, n, c); },
      [&] {
        return kernels_->layer_norm(k.middle, w(l.norm2_gain), w(l.norm2_bias), n, c, k.norm2,
                                    k.statistics2);
      },
      [&] { return times(k.norm2, w(l.fc), c, 4 * c, k.hidden); },
      [&] { return kernels_->bias_gelu(k.hidden, w(l.fc_bias), n, 4 * c, k.activated); },
      [&] { return times(k.activated, w(l.out), 4 * c, c, k.behind); },
      [&] { return kernels_->add_bias_residual(k.behind, w(l.out_bias), k.middle, n, c); });
}

// Logits become gradients of the mean loss at once.
Status DeviceGpt::head() {
  const std::size_t n = shape_.rows();
  const std::size_t c = shape_.width;
  const float* const last = kept_.empty() ? embedded_ : kept_.back().behind;
  return in_order(
      [&] {
        return kernels_->layer_norm(last, w(final_gain_), w(final_bias_), n, c, final_norm_,
                                    final_statistics_);
      },
      [&] { return times_transposed(final_norm_, w(0), shape_.vocabulary, c, logits_); },
      [&] {
        return kernels_->cross_entropy(logits_, targets_, n, shape_.vocabulary,
                                       1.0F / static_cast<float>(n), losses_);
      },
      [&] { return kernels_->sum(losses_, n, partials_); });
}

Status DeviceGpt::head_backward() {
  const std::size_t n = shape_.rows();
  const std::size_t c = shape_.width;
  const float* const last = kept_.empty() ? embedded_ : kept_.back().behind;
  return in_order(
      [&] { return times(logits_, w(0), shape_.vocabulary, c, dnorm_); },
      [&] { return weight_gradients(logits_, final_norm_, shape_.vocabulary, c, g(0), nullptr); },
      [&] { return device_.clear(dstream_, n * c * sizeof(float)); },
      [&] {
        return kernels_->layer_norm_backward(dnorm_, last, w(final_gain_), final_statistics_, n, c,
                                             dstream_, dstream_, g(final_gain_), g(final_bias_));
      });
}

// dstream_: the gradient behind the layer becomes that before it.
Status DeviceGpt::backward_layer(const Layer& l, const Kept& k, const float* before) {
  const std::size_t n = shape_.rows();
  const std::size_t c = shape_.width;
  const AttentionShape attention{shape_.batch, shape_.context, shape_.heads, c};
  return in_order(
      [&] { return times_transposed(dstream_, w(l.out), 4 * c, c, dhidden_); },
      [&] { return weight_gradients(k.activated, dstream_, 4 * c, c, g(l.out), g(l.out_bias)); },
      [&] { return kernels_->gelu_backward(k.hidden, dhidden_, n * 4 * c); },
      [&] { return times_transposed(dhidden_, w(l.fc), c, 4 * c, dnorm_); },
      [&] { return weight_gradients(k.norm2, dhidden_, c, 4 * c, g(l.fc), g(l.fc_bias)); },
      [&] {
        return kernels_->layer_norm_backward(dnorm_, k.middle, w(l.norm2_gain), k.statistics2, n, c,
                                             dstream_, dstream_, g(l.norm2_gain), g(l.norm2_bias));
      },
      [&] { return times_transposed(dstream_, w(l.proj), c, c, dnorm_); },
      [&] { return weight_gradients(k.attended, dstream_, c, c, g(l.proj), g(l.proj_bias)); },
      [&] {
        return kernels_->attention_backward(attention, dnorm_, k.qkv, k.attended, k.log_sums,
                                            delta_, dqkv_);
      },
      [&] { return times_transposed(dqkv_, w(l.qkv), c, 3 * c, dnorm_); },
      [&] { return weight_gradients(k.norm1, dqkv_, c, 3 * c, g(l.qkv), g(l.qkv_bias)); },
      [&] {
        return kernels_->layer_norm_backward(dnorm_, before, w(l.norm1_gain), k.statistics1, n, c,
                                             dstream_, dstream_, g(l.norm1_gain), g(l.norm1_bias));
      });
}

Result<double> DeviceGpt::gradients_of(std::span<const std::int32_t> tokens,
                                       std::span<const std::int32_t> targets) {
  const std::size_t n = shape_.rows();
  if (tokens.size() != n || targets.size() != n)
    return fail(Code::kInvalidArgument, "not as many tokens as a step has");
  const auto before = [&](std::size_t l) { return l == 0 ? embedded_ : kept_[l - 1].behind; };
  Status done = in_order(
      [&] { return device_.upload(bytes_copy(tokens_, tokens.data(), tokens.size_bytes())); },
      [&] { return device_.upload(bytes_copy(targets_, targets.data(), targets.size_bytes())); },
      [&] { return device_.clear(gradients_, shape_.parameters() * sizeof(float)); },
      [&] {
        return kernels_->embed(tokens_, w(0), w(wpe_), n, 0, shape_.context, shape_.width,
                               embedded_);
      });
  for (std::size_t l = 0; l < layers_.size() && done.ok(); ++l)
    done = forward_layer(layers_[l], kept_[l], before(l));
  if (done.ok()) done = in_order([&] { return head(); }, [&] { return head_backward(); });
  for (std::size_t l = layers_.size(); l-- > 0 && done.ok();)
    done = backward_layer(layers_[l], kept_[l], before(l));
  if (done.ok()) {
    done =
        kernels_->embed_backward(tokens_, dstream_, n, shape_.context, shape_.width, g(0), g(wpe_));
  }
  if (!done.ok()) return fail(done);
  const auto sum = sum_of_partials(device_, partials_);
  if (!sum) return sum;
  return *sum / static_cast<double>(n);
}

Status DeviceGpt::adamw(const AdamwStep& step) {
  return kernels_->adamw(weights_, gradients_, first_, second_, shape_.parameters(), step);
}

}  // namespace overwinter::worker::cuda
