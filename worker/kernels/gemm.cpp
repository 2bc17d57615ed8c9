#include "worker/kernels/gemm.h"

namespace overwinter::worker {

template <class T>
Status check_strides(const Gemm<T>& p) {
  const std::size_t a_row = p.transpose_a ? p.m : p.k;
  const std::size_t b_row = p.transpose_b ? p.k : p.n;
  if (p.lda < a_row || p.ldb < b_row || p.ldc < p.n) {
    return error(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  return Status::success();
}

template Status check_strides(const Gemm<float>&);
template Status check_strides(const Gemm<double>&);

}  // namespace overwinter::worker
