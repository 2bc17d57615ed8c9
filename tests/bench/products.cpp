#include "tests/bench/products.h"

#include <cblas.h>
#include <time.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "worker/kernels/openblas_core.h"

extern "C" void omp_set_num_threads(int);

namespace overwinter::bench {
namespace {

blasint blas(std::size_t v) {
  return static_cast<blasint>(v);
}

}  // namespace

double seconds_now(unsigned threads) {
  timespec now{};
  ::clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void use_library_threads(const std::string& core, unsigned threads) {
  worker::use_openblas_core(core);
  openblas_set_num_threads(static_cast<int>(threads));
  omp_set_num_threads(static_cast<int>(threads));
}

void use_our_threads(const std::string& core) {
  worker::use_openblas_core(core);
  openblas_set_num_threads(1);
}

Status by_openblas(const worker::Gemm<float>& p) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(p.m), blas(p.n), blas(p.k), 1, p.a,
              blas(p.lda), p.b, blas(p.ldb), 0, p.c, blas(p.ldc));
  return Status::success();
}

Status by_openblas(const worker::Gemm<double>& p) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(p.m), blas(p.n), blas(p.k), 1, p.a,
              blas(p.lda), p.b, blas(p.ldb), 0, p.c, blas(p.ldc));
  return Status::success();
}

Status by_onednn(const worker::Gemm<float>& p) {
  const auto i = [](std::size_t v) { return static_cast<dnnl_dim_t>(v); };
  const auto done = dnnl_sgemm('N', 'N', i(p.m), i(p.n), i(p.k), 1, p.a, i(p.lda), p.b, i(p.ldb), 0,
                               p.c, i(p.ldc));
  return done == dnnl_success ? Status::success() : error(Code::kInternal, "oneDNN's sgemm failed");
}

}  // namespace overwinter::bench
