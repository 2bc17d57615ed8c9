#include "worker/cuda/host_gemm.h"

#include <cstdint>

namespace overwinter::worker::cuda {
namespace {

template <class T>
auto widened(T x) {
  if constexpr (std::is_same_v<T, std::int8_t>) {
    return static_cast<std::int32_t>(x);
  } else if constexpr (std::is_floating_point_v<T>) {
    return x;
  } else {
    return to_float(x);
  }
}

template <class T>
void multiply_columns(const ColumnProduct& p) {
  using Sum = typename GemmTraits<T>::Sum;
  const auto* a = static_cast<const T*>(p.a);
  const auto* b = static_cast<const T*>(p.b);
  auto* c = static_cast<Sum*>(p.c);
  const Sum alpha = *static_cast<const Sum*>(p.alpha);
  const Sum beta = *static_cast<const Sum*>(p.beta);
  for (std::size_t j = 0; j < p.n; ++j) {
    for (std::size_t i = 0; i < p.m; ++i) {
      Sum sum = 0;
      for (std::size_t l = 0; l < p.k; ++l) {
        sum += widened(p.transpose_a ? a[l + i * p.lda] : a[i + l * p.lda]) *
               widened(p.transpose_b ? b[j + l * p.ldb] : b[l + j * p.ldb]);
      }
      Sum& to = c[i + j * p.ldc];
      to = beta == Sum(0) ? alpha * sum : alpha * sum + beta * to;
    }
  }
}

bool is_on_grid(const ColumnProduct& p) {
  const auto on = [](std::size_t x) { return x % 16 == 0; };
  const auto at = [&](const void* x) { return on(reinterpret_cast<std::uintptr_t>(x)); };
  return p.transpose_a && !p.transpose_b && on(p.m) && on(p.k) && on(p.lda) && on(p.ldb) &&
         on(p.ldc) && at(p.a) && at(p.b) && at(p.c) &&
         *static_cast<const std::int32_t*>(p.alpha) == 1 &&
         *static_cast<const std::int32_t*>(p.beta) == 0;
}

class HostGemmSteps final : public GemmSteps {
 public:
  [[nodiscard]] std::string_view name() const override { return "columns of the host"; }
  Status multiply(const ColumnProduct& product) override {
    switch (product.type) {
      case GemmType::kFp32:
        multiply_columns<float>(product);
        break;
      case GemmType::kFp64:
        multiply_columns<double>(product);
        break;
      case GemmType::kBf16:
        multiply_columns<BFloat16>(product);
        break;
      case GemmType::kFp16:
        multiply_columns<Float16>(product);
        break;
      case GemmType::kInt8:
        if (!is_on_grid(product))
          return error(Code::kInvalidArgument, "a product of int8 that cuBLASLt would not take");
        multiply_columns<std::int8_t>(product);
        break;
    }
    return Status::success();
  }
  Status scale(std::size_t n, const ScaleElement<float>& op) override { return run(n, op); }
  Status scale(std::size_t n, const ScaleElement<double>& op) override { return run(n, op); }
  Status scale(std::size_t n, const ScaleElement<std::int32_t>& op) override { return run(n, op); }
  Status finish(std::size_t n, const FinishInt32& op) override { return run(n, op); }
  Status pad(std::size_t n, const PadBytes& op) override { return run(n, op); }

 private:
  template <class Op>
  static Status run(std::size_t n, const Op& op) {
    for (std::size_t i = 0; i < n; ++i) op(i);
    return Status::success();
  }
};

}  // namespace

std::unique_ptr<GemmSteps> make_host_gemm_steps() {
  return std::make_unique<HostGemmSteps>();
}

}  // namespace overwinter::worker::cuda
