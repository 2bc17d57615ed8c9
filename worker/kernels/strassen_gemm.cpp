#include "worker/kernels/strassen_gemm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/base/check.h"
#include "worker/kernels/gemm_split.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/strassen_passes.h"

namespace overwinter::worker {
namespace {

// The quarters of a factor by their place in the product, as they are stored: `rows` x `columns`
// each.
template <class T>
struct Quarters {
  StrassenBlock<T> of11, of12, of21, of22;
  std::size_t rows = 0;
  std::size_t columns = 0;

  Quarters(const T* data, std::size_t stride, std::size_t half_rows, std::size_t half_columns,
           bool transposed)
      : rows(transposed ? half_columns : half_rows),
        columns(transposed ? half_rows : half_columns) {
    const T* right = data + columns;
    const T* below = data + rows * stride;
    of11 = {data, stride};
    of12 = {transposed ? below : right, stride};
    of21 = {transposed ? right : below, stride};
    of22 = {below + columns, stride};
  }
};

// One product and all below it.
template <class T>
class StrassenProduct {
 public:
  StrassenProduct(GemmBackend& base, ThreadTeam& team, Buffer& workspace,
                  const std::stop_token& stop)
      : base_(base),
        team_(team),
        stop_(stop),
        passes_(strassen_passes<T>(best_kernel_level())),
        free_(workspace.as<T>()),
        end_(free_ + workspace.size() / sizeof(T)) {}

  // Sides divide by 2^levels.
  Status multiply(const Gemm<T>& p, std::uint32_t levels) {
    if (stop_.stop_requested()) return error(Code::kCancelled, "the work was given up");
    if (levels == 0) return base_.gemm(p);
    T* const before = free_;
    Status done = halve(p, levels - 1);
    free_ = before;
    return done;
  }

 private:
  StrassenTarget<T> take(std::size_t rows, std::size_t columns) {
    const StrassenTarget<T> taken{free_, plan::strassen_stride(columns, sizeof(T))};
    const std::size_t elements = plan::strassen_temporary(rows, columns, sizeof(T));
    check(elements <= static_cast<std::size_t>(end_ - free_),
          "the workspace holds all temporaries");
    free_ += elements;
    return taken;
  }

  static StrassenBlock<T> block(const StrassenTarget<T>& of) { return {of.data, of.stride}; }

  // A pass over blocks of these sides, rows shared among the threads.
  void run(const StrassenPass<T>& pass, std::size_t rows, std::size_t columns,
           std::initializer_list<StrassenBlock<T>> in, std::initializer_list<StrassenTarget<T>> out,
           T beta = T(0)) {
    const auto body = beta != T(0) ? pass.kept : pass.plain;
    team_.run([&](std::uint32_t thread) {
      const GemmShare share = share_of(rows, team_.size(), thread);
      if (share.size() == 0) return;
      StrassenBlock<T> from[3];
      StrassenTarget<T> to[3];
      std::ranges::transform(in, from, [&](const StrassenBlock<T>& x) {
        return StrassenBlock<T>{x.data + share.begin * x.stride, x.stride};
      });
      std::ranges::transform(out, to, [&](const StrassenTarget<T>& y) {
        return StrassenTarget<T>{y.data + share.begin * y.stride, y.stride};
      });
      body(share.size(), columns, from, to, beta);
    });
  }

  Status halve(const Gemm<T>& p, std::uint32_t levels) {
    const std::size_t m = p.m / 2;
    const std::size_t n = p.n / 2;
    const std::size_t k = p.k / 2;
    const Quarters<T> a(p.a, p.lda, m, k, p.transpose_a);
    const Quarters<T> b(p.b, p.ldb, k, n, p.transpose_b);
    const StrassenTarget<T> c11{p.c, p.ldc};
    const StrassenTarget<T> c12{p.c + n, p.ldc};
    const StrassenTarget<T> c21{p.c + m * p.ldc, p.ldc};
    const StrassenTarget<T> c22{c21.data + n, p.ldc};
    const StrassenTarget<T> s1 = take(a.rows, a.columns);
    const StrassenTarget<T> s2 = take(a.rows, a.columns);
    const StrassenTarget<T> s3 = take(a.rows, a.columns);
    const StrassenTarget<T> t1 = take(b.rows, b.columns);
    const StrassenTarget<T> t2 = take(b.rows, b.columns);
    const StrassenTarget<T> t3 = take(b.rows, b.columns);
    const StrassenTarget<T> x = take(m, n);
    const StrassenTarget<T> z = p.beta == T(0) ? c22 : take(m, n);

    Status failed;
    // c = alpha op(left) op(right) + beta c, of halves. False: it failed.
    const auto product = [&](const StrassenBlock<T>& left, const StrassenBlock<T>& right, T alpha,
                             T beta, const StrassenTarget<T>& to) {
      Gemm<T> half = p;
      half.m = m;
      half.n = n;
      half.k = k;
      half.alpha = alpha;
      half.a = left.data;
      half.lda = left.stride;
      half.b = right.data;
      half.ldb = right.stride;
      half.beta = beta;
      half.c = to.data;
      half.ldc = to.stride;
      failed = multiply(half, levels);
      return failed.ok();
    };

    run(passes_.left, a.rows, a.columns, {a.of21, a.of22, a.of11}, {s1, s2, s3});
    run(passes_.right, b.rows, b.columns, {b.of12, b.of11, b.of22}, {t1, t2, t3});
    if (!product(a.of11, b.of11, p.alpha, T(0), x)) return failed;
    run(passes_.copy, m, n, {block(x)}, {c11}, p.beta);
    if (!product(a.of12, b.of21, p.alpha, T(1), c11)) return failed;
    if (!product(block(s1), block(t1), p.alpha, T(0), z)) return failed;
    if (!product(block(s2), block(t2), p.alpha, T(1), x)) return failed;
    run(passes_.minus, a.rows, a.columns, {a.of12, block(s2)}, {s2});
    run(passes_.minus, b.rows, b.columns, {block(t2), b.of21}, {t2});
    run(passes_.plus, m, n, {block(x), block(z)}, {c12}, p.beta);
    if (!product(block(s2), b.of22, p.alpha, T(1), c12)) return failed;
    if (!product(block(s3), block(t3), p.alpha, T(1), x)) return failed;
    run(passes_.both, m, n, {block(x), block(z)}, {c21, c22}, p.beta);
    product(a.of22, block(t2), -p.alpha, T(1), c21);
    return failed;
  }

  GemmBackend& base_;
  ThreadTeam& team_;
  const std::stop_token& stop_;
  const StrassenPasses<T>& passes_;
  T* free_;
  T* const end_;
};

template <class T>
T largest_of(ThreadTeam& team, std::size_t rows, std::size_t columns, const T* data,
             std::size_t stride) {
  const StrassenPasses<T>& passes = strassen_passes<T>(best_kernel_level());
  std::vector<T> of(team.size(), T(0));
  team.run([&](std::uint32_t thread) {
    const GemmShare share = share_of(rows, team.size(), thread);
    if (share.size() != 0) {
      of[thread] = passes.largest(share.size(), columns, {data + share.begin * stride, stride});
    }
  });
  T most = 0;
  for (const T one : of) most = one > most || std::isnan(one) ? one : most;  // a NaN stays
  return most;
}

// No sum in between passes the largest number: sums of A's and B's quarters grow by at most 4 a
// level each, those of products by less than what is left of 18.
template <class T>
bool is_within_range(ThreadTeam& team, const Gemm<T>& p, std::uint32_t levels) {
  const T a = largest_of(team, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.a, p.lda);
  if (!std::isfinite(a)) return false;
  const T b = largest_of(team, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.b, p.ldb);
  const long double growth = std::pow(18.0L, static_cast<long double>(levels));
  const long double limit = std::numeric_limits<T>::max() / T(4);
  const long double sum = growth * std::fabs(static_cast<long double>(p.alpha)) *
                          static_cast<long double>(a) * static_cast<long double>(b) *
                          static_cast<long double>(p.k);
  return std::isfinite(b) && growth * std::max<long double>(a, b) < limit && sum < limit;
}

}  // namespace

void StrassenGemm::use(GemmType type, const plan::StrassenRule& rule) {
  (type == GemmType::kFp64 ? fp64_ : fp32_) = rule;
}

const plan::StrassenRule& StrassenGemm::rule(GemmType type) const {
  return type == GemmType::kFp64 ? fp64_ : fp32_;
}

Status StrassenGemm::reserve(std::size_t bytes) {
  if (bytes <= workspace_.size()) return Status::success();
  release();  // not both at once
  auto taken = Buffer::make(memory_, bytes);
  if (!taken) return taken.error();
  workspace_ = *std::move(taken);
  return Status::success();
}

template <class T>
Status StrassenGemm::multiply(Gemm<T> p) {
  if (Status good = use_plain_weights(p, *this); !good.ok()) return good;
  if (Status fit = check_strides(p); !fit.ok()) return fit;
  const std::uint32_t levels = plan::strassen_levels(p.m, p.k, p.n, rule(GemmTraits<T>::kType));
  if (levels == 0 || p.alpha == T(0) || !is_within_range(team_, p, levels)) return base_.gemm(p);
  const std::size_t needed =
      plan::strassen_workspace_bytes(p.m, p.k, p.n, levels, sizeof(T), p.beta != T(0));
  if (Status had = reserve(needed); !had.ok()) return had;

  const auto even = [levels](std::size_t side) { return side >> levels << levels; };
  Gemm<T> core = part_of(p, {0, even(p.m)}, {0, even(p.n)});
  core.k = even(p.k);
  Status done = StrassenProduct<T>(base_, team_, workspace_, stop_).multiply(core, levels);
  if (done.ok() && core.k < p.k) {
    Gemm<T> rest = core;
    rest.k = p.k - core.k;
    rest.a = p.transpose_a ? p.a + core.k * p.lda : p.a + core.k;
    rest.b = p.transpose_b ? p.b + core.k : p.b + core.k * p.ldb;
    rest.beta = T(1);
    done = base_.gemm(rest);
  }
  if (done.ok() && core.n < p.n) done = base_.gemm(part_of(p, {0, core.m}, {core.n, p.n}));
  if (done.ok() && core.m < p.m) done = base_.gemm(part_of(p, {core.m, p.m}, {0, p.n}));
  return done;
}

Status StrassenGemm::gemm(const Gemm<float>& problem) {
  return multiply(problem);
}

Status StrassenGemm::gemm(const Gemm<double>& problem) {
  return multiply(problem);
}

}  // namespace overwinter::worker
