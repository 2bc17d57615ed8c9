#include "worker/cuda/cuda_gemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>

#include "worker/cuda/cuda_cublaslt.h"
#include "worker/cuda/cuda_launch.h"

namespace overwinter::worker::cuda {
namespace {

// Chosen algorithms that are kept; then all are forgotten and chosen again.
constexpr std::size_t kChoicesMax = 512;
constexpr std::uint32_t kAlignmentMax = 256;

// A handle of the library that its own function ends.
template <class Handle>
class Owned {
 public:
  using Destroy = cublasStatus_t (*)(Handle);
  explicit Owned(Destroy destroy) : destroy_(destroy) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_ != nullptr) destroy_(handle_);
  }
  [[nodiscard]] Handle get() const { return handle_; }
  [[nodiscard]] Handle* put() { return &handle_; }

 private:
  const Destroy destroy_;
  Handle handle_ = nullptr;
};

struct LtTypes {
  cublasComputeType_t compute;
  cudaDataType_t scale, factor, sum;
};

// Pedantic: the environment (CUBLAS_EMULATE_SINGLE_PRECISION, …) may otherwise have fp32 made of
// bf16 and fp64 of whole numbers.
LtTypes types_of(GemmType type, bool tf32) {
  switch (type) {
    case GemmType::kFp32:
      break;
    case GemmType::kFp64:
      return {CUBLAS_COMPUTE_64F_PEDANTIC, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F};
    case GemmType::kBf16:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F};
    case GemmType::kFp16:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F};
    case GemmType::kInt8:
      return {CUBLAS_COMPUTE_32I, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I};
  }
  const auto compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_PEDANTIC;
  return {compute, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F};
}

std::uint32_t alignment_of(const void* pointer) {
  const auto at = reinterpret_cast<std::uintptr_t>(pointer);
  const std::uintptr_t lowest = at & (~at + 1);
  return static_cast<std::uint32_t>(std::min<std::uintptr_t>(lowest, kAlignmentMax));
}

// What a choice depends on.
using ChoiceKey = std::array<std::uint64_t, 10>;

class CudaGemmSteps final : public GemmSteps {
 public:
  CudaGemmSteps(CudaDevice& device, const CublasLt& lt, Buffer workspace, bool tf32)
      : device_(device),
        lt_(lt),
        workspace_(std::move(workspace)),
        tf32_(tf32),
        handle_(lt.destroy) {}
  ~CudaGemmSteps() override { (void)device_.wait(); }  // products may use the workspace
  Status start() {
    if (Status used = device_.use(); !used.ok()) return used;
    return lt_.status_of(lt_.create(handle_.put()), "to start");
  }

  [[nodiscard]] std::string_view name() const override {
    return tf32_ ? "cuBLASLt TF32" : "cuBLASLt";
  }
  Status multiply(const ColumnProduct& product) override;
  Status scale(std::size_t n, const ScaleElement<float>& op) override {
    return launch(device_, n, op);
  }
  Status scale(std::size_t n, const ScaleElement<double>& op) override {
    return launch(device_, n, op);
  }
  Status scale(std::size_t n, const ScaleElement<std::int32_t>& op) override {
    return launch(device_, n, op);
  }
  Status finish(std::size_t n, const FinishInt32& op) override { return launch(device_, n, op); }
  Status pad(std::size_t n, const PadBytes& op) override { return launch(device_, n, op); }

 private:
  struct Described {
    explicit Described(const CublasLt& lt)
        : product(lt.desc_destroy),
          a(lt.layout_destroy),
          b(lt.layout_destroy),
          c(lt.layout_destroy) {}
    Owned<cublasLtMatmulDesc_t> product;
    Owned<cublasLtMatrixLayout_t> a, b, c;
  };

  Status describe(const ColumnProduct& p, Described& d) const;
  Status choose(const ColumnProduct& p, const Described& d, cublasLtMatmulAlgo_t& chosen);

  CudaDevice& device_;
  const CublasLt& lt_;
  Buffer workspace_;
  const bool tf32_;
  Owned<cublasLtHandle_t> handle_;
  std::map<ChoiceKey, cublasLtMatmulAlgo_t> choices_;
};

Status CudaGemmSteps::describe(const ColumnProduct& p, Described& d) const {
  const LtTypes types = types_of(p.type, tf32_);
  const auto layout = [&](Owned<cublasLtMatrixLayout_t>& of, cudaDataType_t type, std::size_t rows,
                          std::size_t columns, std::size_t ld) {
    return lt_.layout_create(of.put(), type, rows, columns, static_cast<std::int64_t>(ld));
  };
  const auto transpose = [&](cublasLtMatmulDescAttributes_t which, bool is) {
    const cublasOperation_t operation = is ? CUBLAS_OP_T : CUBLAS_OP_N;
    return lt_.desc_set(d.product.get(), which, &operation, sizeof(operation));
  };
  for (const auto& step : std::initializer_list<std::function<cublasStatus_t()>>{
           [&] { return lt_.desc_create(d.product.put(), types.compute, types.scale); },
           [&] { return transpose(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_a); },
           [&] { return transpose(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_b); },
           [&] {
             return layout(d.a, types.factor, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k,
                           p.lda);
           },
           [&] {
             return layout(d.b, types.factor, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n,
                           p.ldb);
           },
           [&] { return layout(d.c, types.sum, p.m, p.n, p.ldc); }}) {
    if (Status s = lt_.status_of(step(), "to take a product's shape"); !s.ok()) return s;
  }
  return Status::success();
}

// The library's first guess for the shape. What it may count on of pointers has to be said: by
// default it takes 256 bytes of alignment for granted.
Status CudaGemmSteps::choose(const ColumnProduct& p, const Described& d,
                             cublasLtMatmulAlgo_t& chosen) {
  const std::array<std::uint32_t, 3> alignments{alignment_of(p.a), alignment_of(p.b),
                                                alignment_of(p.c)};
  const auto bits = static_cast<std::uint64_t>(p.type) << 2U |
                    static_cast<std::uint64_t>(p.transpose_a) << 1U |
                    static_cast<std::uint64_t>(p.transpose_b);
  const ChoiceKey key{bits,  p.m,   p.n,           p.k,           p.lda,
                      p.ldb, p.ldc, alignments[0], alignments[1], alignments[2]};
  if (const auto found = choices_.find(key); found != choices_.end()) {
    chosen = found->second;
    return Status::success();
  }
  Owned<cublasLtMatmulPreference_t> preference(lt_.preference_destroy);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
    return lt_.preference_set(preference.get(), which, &value, sizeof(value));
  };
  const std::uint64_t workspace = workspace_.size();
  for (const auto& step : std::initializer_list<std::function<cublasStatus_t()>>{
           [&] { return lt_.preference_create(preference.put()); },
           [&] { return set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace); },
           [&] { return set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignments[0]); },
           [&] { return set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignments[1]); },
           [&] { return set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignments[2]); },
           [&] { return set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignments[2]); }}) {
    if (Status s = lt_.status_of(step(), "to take preferences"); !s.ok()) return s;
  }
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  if (Status s =
          lt_.status_of(lt_.heuristic(handle_.get(), d.product.get(), d.a.get(), d.b.get(),
                                      d.c.get(), d.c.get(), preference.get(), 1, &found, &count),
                        "to find an algorithm");
      !s.ok()) {
    return s;
  }
  if (count == 0) return error(Code::kUnimplemented, "cuBLASLt has no algorithm for this product");
  if (choices_.size() >= kChoicesMax) choices_.clear();
  choices_.emplace(key, found.algo);
  chosen = found.algo;
  return Status::success();
}

Status CudaGemmSteps::multiply(const ColumnProduct& p) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  if (std::max({p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) > kMost)
    return error(Code::kOutOfRange, "a size does not fit cuBLASLt's integers");
  if (Status used = device_.use(); !used.ok()) return used;
  Described d(lt_);
  if (Status s = describe(p, d); !s.ok()) return s;
  cublasLtMatmulAlgo_t algorithm{};
  if (Status s = choose(p, d, algorithm); !s.ok()) return s;
  return lt_.status_of(lt_.matmul(handle_.get(), d.product.get(), p.alpha, p.a, d.a.get(), p.b,
                                  d.b.get(), p.beta, p.c, d.c.get(), p.c, d.c.get(), &algorithm,
                                  workspace_.data(), workspace_.size(), device_.stream()),
                       "to multiply");
}

}  // namespace

Result<std::unique_ptr<GemmSteps>> make_cuda_gemm_steps(CudaDevice& device, MemoryResource& memory,
                                                        const DeviceGemmOptions& options) {
  const auto lt = CublasLt::load();
  if (!lt) return fail(lt.error());
  auto workspace = Buffer::make(memory, options.workspace_bytes, kAlignmentMax);
  if (!workspace) return fail(workspace.error());
  auto steps = std::make_unique<CudaGemmSteps>(device, **lt, *std::move(workspace), options.tf32);
  if (Status started = steps->start(); !started.ok()) return fail(started);
  return steps;
}

}  // namespace overwinter::worker::cuda
