#include "worker/kernels/openblas_gemm.h"

#include <cblas.h>

#include <algorithm>
#include <limits>

#include "worker/kernels/gemm_split.h"
#include "worker/kernels/packed_weights.h"

namespace overwinter::worker {
namespace {

void call(const Gemm<float>& p) {
  const auto i = [](std::size_t v) { return static_cast<blasint>(v); };
  cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
              p.transpose_b ? CblasTrans : CblasNoTrans, i(p.m), i(p.n), i(p.k), p.alpha, p.a,
              i(p.lda), p.b, i(p.ldb), p.beta, p.c, i(p.ldc));
}

void call(const Gemm<double>& p) {
  const auto i = [](std::size_t v) { return static_cast<blasint>(v); };
  cblas_dgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
              p.transpose_b ? CblasTrans : CblasNoTrans, i(p.m), i(p.n), i(p.k), p.alpha, p.a,
              i(p.lda), p.b, i(p.ldb), p.beta, p.c, i(p.ldc));
}

template <class T>
Status multiply_by_openblas(ThreadTeam& team, Gemm<T> p, const GemmBackend& self) {
  if (Status good = use_plain_weights(p, self); !good.ok()) return good;
  const Result<bool> begun = begin_product(p, self);
  if (!begun) return begun.error();
  if (!*begun) return Status::success();
  constexpr std::size_t kMax = std::numeric_limits<blasint>::max();
  if (std::max({p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) > kMax) {
    return error(Code::kOutOfRange, "a side or stride of the product is above 2,147,483,647");
  }
  for_each_part(team, p.m, p.n, split_of(p.m, p.n, team.size()),
                [&](std::uint32_t, GemmShare rows, GemmShare columns) {
                  for (std::size_t row = rows.begin; row < rows.end; row += kOpenBlasRowsMax) {
                    const std::size_t end = std::min(rows.end, row + kOpenBlasRowsMax);
                    call(part_of(p, {row, end}, columns));
                  }
                });
  return Status::success();
}

}  // namespace

OpenBlasGemm::OpenBlasGemm(ThreadTeam& team) : team_(team) {
  openblas_set_num_threads(1);
}

Status OpenBlasGemm::gemm(const Gemm<float>& problem) {
  return multiply_by_openblas(team_, problem, *this);
}

Status OpenBlasGemm::gemm(const Gemm<double>& problem) {
  return multiply_by_openblas(team_, problem, *this);
}

std::string_view OpenBlasGemm::description() {
  return openblas_get_config();
}

}  // namespace overwinter::worker
