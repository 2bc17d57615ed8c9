#include "worker/kernels/gemm.h"

#include <string>
#include <type_traits>

#include "worker/kernels/packed_weights.h"

namespace overwinter::worker {

std::string_view gemm_type_name(GemmType type) {
  switch (type) {
    case GemmType::kFp32:
      return "fp32";
    case GemmType::kFp64:
      return "fp64";
    case GemmType::kBf16:
      return "bf16";
    case GemmType::kFp16:
      return "fp16";
    case GemmType::kInt8:
      return "int8";
  }
  return "";
}

double gemm_error_factor(GemmType type, std::size_t k) {
  if (type == GemmType::kInt8) return 0;
  const double unit = type == GemmType::kFp64 ? 0x1p-53 : 0x1p-24;
  const double all = (static_cast<double>(k) + 2) * unit;
  return all / (1 - all);
}

bool GemmBackend::supports(GemmType type) const {
  return type == GemmType::kFp32 || type == GemmType::kFp64;
}

Status GemmBackend::has_no(GemmType type) const {
  return error(Code::kUnimplemented, std::string(name()) + " has no products of " +
                                         std::string(gemm_type_name(type)) + " on this processor");
}

Status GemmBackend::gemm(const Gemm<BFloat16>& /*problem*/) {
  return has_no(GemmType::kBf16);
}

Status GemmBackend::gemm(const Gemm<Float16>& /*problem*/) {
  return has_no(GemmType::kFp16);
}

Status GemmBackend::gemm(const Gemm<std::int8_t>& /*problem*/) {
  return has_no(GemmType::kInt8);
}

Result<std::unique_ptr<PackedWeights>> GemmBackend::pack(const GemmWeights& weights,
                                                         MemoryResource& memory) {
  return PlainWeights::make(*this, weights, memory);
}

template <class T>
Status check_strides(const Gemm<T>& p) {
  const std::size_t a_row = p.transpose_a ? p.m : p.k;
  const std::size_t b_row = p.transpose_b ? p.k : p.n;
  if (p.lda < a_row || (p.packed == nullptr && p.ldb < b_row) || p.ldc < p.n) {
    return error(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  return Status::success();
}

template Status check_strides(const Gemm<float>&);
template Status check_strides(const Gemm<double>&);
template Status check_strides(const Gemm<BFloat16>&);
template Status check_strides(const Gemm<Float16>&);
template Status check_strides(const Gemm<std::int8_t>&);

template <class T>
void scale_c(const Gemm<T>& p) {
  using Sum = typename Gemm<T>::Sum;
  for (std::size_t i = 0; i < p.m; ++i) {
    Sum* row = p.c + i * p.ldc;
    for (std::size_t j = 0; j < p.n; ++j) {
      if constexpr (std::is_same_v<Sum, std::int32_t>) {  // modulo 2^32
        row[j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(p.beta) *
                                           static_cast<std::uint32_t>(row[j]));
      } else {
        row[j] = p.beta == Sum(0) ? Sum(0) : p.beta * row[j];
      }
    }
  }
}

template void scale_c(const Gemm<float>&);
template void scale_c(const Gemm<double>&);
template void scale_c(const Gemm<BFloat16>&);
template void scale_c(const Gemm<Float16>&);
template void scale_c(const Gemm<std::int8_t>&);

}  // namespace overwinter::worker
