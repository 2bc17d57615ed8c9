#include "worker/kernels/openblas_gemm.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

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
void scale(const Gemm<T>& p) {
  for (std::size_t i = 0; i < p.m; ++i) {
    T* row = p.c + i * p.ldc;
    for (std::size_t j = 0; j < p.n; ++j) row[j] = p.beta == T(0) ? T(0) : p.beta * row[j];
  }
}

// The part of the product that is rows [row, row + rows) and columns [column, column + columns) of
// C.
template <class T>
Gemm<T> part(const Gemm<T>& p, std::size_t row, std::size_t rows, std::size_t column,
             std::size_t columns) {
  Gemm<T> s = p;
  s.m = rows;
  s.n = columns;
  s.a = p.transpose_a ? p.a + row : p.a + row * p.lda;
  s.b = p.transpose_b ? p.b + column * p.ldb : p.b + column;
  s.c = p.c + row * p.ldc + column;
  return s;
}

struct Split {
  std::size_t rows = 1;
  std::size_t columns = 1;
};

// How `threads` divide C: the grid whose parts have the least to read. Parts of fewer than 32 rows
// or columns are not worth a thread.
Split split_of(std::size_t m, std::size_t n, std::size_t threads) {
  Split best;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t rows = 1; rows <= threads; ++rows) {
    if (threads % rows != 0) continue;
    const std::size_t columns = threads / rows;
    if ((rows > 1 && m / rows < 32) || (columns > 1 && n / columns < 32)) continue;
    const double reads = static_cast<double>(m) / static_cast<double>(rows) +
                         static_cast<double>(n) / static_cast<double>(columns);
    if (reads < least) {
      least = reads;
      best = {rows, columns};
    }
  }
  return best;
}

// The size of a share, a multiple of 16 so that kernels meet whole blocks.
std::size_t share(std::size_t all, std::size_t parts) {
  const std::size_t even = (all + parts - 1) / parts;
  return parts == 1 ? all : (even + 15) / 16 * 16;
}

template <class T>
Status multiply(ThreadTeam& team, const Gemm<T>& p) {
  if (Status fit = check_strides(p); !fit.ok()) return fit;
  if (p.m == 0 || p.n == 0) return Status::success();
  if (p.k == 0) {
    scale(p);
    return Status::success();
  }
  constexpr std::size_t kMax = std::numeric_limits<blasint>::max();
  if (std::max({p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) > kMax) {
    return error(Code::kOutOfRange, "a side or stride of the product is above 2,147,483,647");
  }
  const Split split = split_of(p.m, p.n, team.size());
  const std::size_t rows = share(p.m, split.rows);
  const std::size_t columns = share(p.n, split.columns);
  const auto work = [&](std::uint32_t thread) {
    if (thread >= split.rows * split.columns) return;
    const std::size_t row_begin = std::min(p.m, thread / split.columns * rows);
    const std::size_t row_end = std::min(p.m, row_begin + rows);
    const std::size_t column_begin = std::min(p.n, thread % split.columns * columns);
    const std::size_t column_end = std::min(p.n, column_begin + columns);
    if (column_begin == column_end) return;
    for (std::size_t row = row_begin; row < row_end; row += kOpenBlasRowsMax) {
      const std::size_t height = std::min(kOpenBlasRowsMax, row_end - row);
      call(part(p, row, height, column_begin, column_end - column_begin));
    }
  };
  if (split.rows * split.columns == 1) {
    work(0);
  } else {
    team.run(work);
  }
  return Status::success();
}

template <class T>
double measure(GemmBackend& backend, double seconds) {
  constexpr std::size_t kSide = 512;
  std::vector<T> a(kSide * kSide, T(0.5));
  std::vector<T> b(kSide * kSide, T(0.25));
  std::vector<T> c(kSide * kSide);
  Gemm<T> p;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = kSide;
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  if (!backend.gemm(p).ok()) return 0;  // and warm
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double best = 0;
  double spent = 0;
  double last = 0;
  do {
    if (!backend.gemm(p).ok()) return 0;
    spent = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, 2.0 * kSide * kSide * kSide / (spent - last) * 1e-9);
    last = spent;
  } while (spent < seconds);
  return best;
}

}  // namespace

OpenBlasGemm::OpenBlasGemm(ThreadTeam& team) : team_(team) {
  openblas_set_num_threads(1);
}

Status OpenBlasGemm::gemm(const Gemm<float>& problem) {
  return multiply(team_, problem);
}

Status OpenBlasGemm::gemm(const Gemm<double>& problem) {
  return multiply(team_, problem);
}

std::string_view OpenBlasGemm::description() {
  return openblas_get_config();
}

double measure_gflops_fp32(GemmBackend& backend, double seconds) {
  return measure<float>(backend, seconds);
}

double measure_gflops_fp64(GemmBackend& backend, double seconds) {
  return measure<double>(backend, seconds);
}

}  // namespace overwinter::worker
