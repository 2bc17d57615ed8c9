#include "worker/kernels/widened_gemm.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "worker/kernels/convert.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kSide = kWidenedSide;
// With few rows or columns of C the other factor's block is read little more often than it is
// widened: it has to be in a core's own cache by then (256 KiB for each thread).
constexpr std::size_t kFewLines = 128;
constexpr std::size_t kCachedSide = 256;

// op(B) in fp32, row by row.
class WidenedWeights final : public PackedWeights {
 public:
  WidenedWeights(const GemmBackend& owner, const GemmWeights& of, Buffer buffer)
      : PackedWeights(owner, of), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::size_t bytes() const override { return buffer_.size(); }
  [[nodiscard]] const float* data() const { return reinterpret_cast<const float*>(buffer_.data()); }

 private:
  const Buffer buffer_;
};

// A block as it lies: of `rows` rows of storage, whichever way the product takes it.
template <class T>
void widen_block(ThreadTeam& team, const T* from, std::size_t stride, std::size_t rows,
                 std::size_t columns, float* to, std::size_t to_stride) {
  const auto share = [&](std::uint32_t thread) {
    const std::size_t begin = rows * thread / team.size();
    const std::size_t end = rows * (thread + 1) / team.size();
    for (std::size_t i = begin; i < end; ++i) widen(from + i * stride, columns, to + i * to_stride);
  };
  constexpr std::size_t kWorthThreads = 1U << 14U;  // some microseconds of work
  if (rows * columns < kWorthThreads) {
    for (std::size_t i = 0; i < rows; ++i) widen(from + i * stride, columns, to + i * to_stride);
  } else {
    team.run(share);
  }
}

// One product, block by block. Views of a product of T and of its fp32 blocks.
template <class T>
class Blocks {
 public:
  using Sum = typename Gemm<T>::Sum;
  static constexpr bool kWhole = std::is_same_v<Sum, std::int32_t>;

  Blocks(const Gemm<T>& p, GemmBackend& wide, ThreadTeam& team, float* room)
      : p_(p),
        wide_(wide),
        team_(team),
        a_(room),
        b_(room + kSide * kSide),
        c_(b_ + kSide * kSide) {
    const std::size_t cached = std::min(kSide, kCachedSide * team.size());
    if (p.m <= kFewLines) columns_max_ = cached;
    if (p.n <= kFewLines) rows_max_ = cached;
    if (p.m <= kFewLines || p.n <= kFewLines) depth_max_ = kCachedSide;
    if (p.packed != nullptr) kept_ = static_cast<const WidenedWeights*>(p.packed)->data();
  }

  Status multiply() {
    for (std::size_t column = 0; column < p_.n; column += columns_max_) {
      const std::size_t columns = std::min(columns_max_, p_.n - column);
      for (std::size_t l = 0; l < p_.k; l += depth_max_) {
        const std::size_t depth = std::min(depth_max_, p_.k - l);
        Gemm<float> block;
        block.n = columns;
        block.k = depth;
        take_b(block, column, l);
        for (std::size_t row = 0; row < p_.m; row += rows_max_) {
          block.m = std::min(rows_max_, p_.m - row);
          take_a(block, row, l);
          if (Status done = one(block, row, column, l == 0); !done.ok()) return done;
        }
      }
    }
    return Status::success();
  }

 private:
  void take_a(Gemm<float>& block, std::size_t row, std::size_t l) {
    block.transpose_a = p_.transpose_a;
    block.a = a_;
    block.lda = p_.transpose_a ? block.m : block.k;
    const T* from = p_.transpose_a ? p_.a + l * p_.lda + row : p_.a + row * p_.lda + l;
    widen_block(team_, from, p_.lda, p_.transpose_a ? block.k : block.m, block.lda, a_, block.lda);
  }

  void take_b(Gemm<float>& block, std::size_t column, std::size_t l) {
    if (kept_ != nullptr) {
      block.b = kept_ + l * p_.n + column;
      block.ldb = p_.n;
      return;
    }
    block.transpose_b = p_.transpose_b;
    block.b = b_;
    block.ldb = p_.transpose_b ? block.k : block.n;
    const T* from = p_.transpose_b ? p_.b + column * p_.ldb + l : p_.b + l * p_.ldb + column;
    widen_block(team_, from, p_.ldb, p_.transpose_b ? block.n : block.k, block.ldb, b_, block.ldb);
  }

  Status one(Gemm<float>& block, std::size_t row, std::size_t column, bool first) {
    Sum* c = p_.c + row * p_.ldc + column;
    const Sum beta = first ? p_.beta : Sum(1);
    if constexpr (kWhole) {
      block.c = c_;
      block.ldc = block.n;
      if (Status done = wide_.gemm(block); !done.ok()) return done;
      add_whole(block, beta, c);
      return Status::success();
    } else {
      block.alpha = p_.alpha;
      block.beta = beta;
      block.c = c;
      block.ldc = p_.ldc;
      return wide_.gemm(block);
    }
  }

  // Modulo 2^32.
  void add_whole(const Gemm<float>& block, std::int32_t beta, std::int32_t* c) const {
    const auto low = [](std::int32_t x) { return static_cast<std::uint32_t>(x); };
    const auto alpha = static_cast<std::int32_t>(p_.alpha);
    for (std::size_t i = 0; i < block.m; ++i) {
      const float* from = c_ + i * block.n;
      std::int32_t* to = c + i * p_.ldc;
      for (std::size_t j = 0; j < block.n; ++j) {
        const auto sum = static_cast<std::int32_t>(from[j]);
        to[j] = static_cast<std::int32_t>(low(alpha) * low(sum) + low(beta) * low(to[j]));
      }
    }
  }

  const Gemm<T>& p_;
  GemmBackend& wide_;
  ThreadTeam& team_;
  float* a_;
  float* b_;
  float* c_;
  std::size_t rows_max_ = kSide;
  std::size_t columns_max_ = kSide;
  std::size_t depth_max_ = kSide;
  const float* kept_ = nullptr;
};

template <class T>
Status multiply_widened(const Gemm<T>& p, const GemmBackend& self, GemmBackend& wide,
                        ThreadTeam& team, MemoryResource& memory, Buffer& room) {
  const Result<bool> begun = begin_product(p, self);
  if (!begun) return begun.error();
  if (!*begun) return Status::success();
  if (room.size() == 0) {
    auto taken = Buffer::make(memory, kWidenedBytes);
    if (!taken) return taken.error();
    room = *std::move(taken);
  }
  return Blocks<T>(p, wide, team, room.as<float>()).multiply();
}

template <class T>
void widen_op_b(const GemmWeights& w, float* to) {
  const T* from = static_cast<const T*>(w.b);
  if (!w.transpose) {
    for (std::size_t l = 0; l < w.k; ++l) widen(from + l * w.ldb, w.n, to + l * w.n);
    return;
  }
  for (std::size_t l = 0; l < w.k; ++l) {
    for (std::size_t j = 0; j < w.n; ++j) widen(from + j * w.ldb + l, 1, to + l * w.n + j);
  }
}

}  // namespace

WidenedGemm::WidenedGemm(GemmBackend& wide, ThreadTeam& team, MemoryResource& memory)
    : wide_(wide), team_(team), memory_(memory) {}

bool WidenedGemm::supports(GemmType type) const {
  return type == GemmType::kBf16 || type == GemmType::kFp16 || type == GemmType::kInt8;
}

Status WidenedGemm::gemm(const Gemm<float>& /*problem*/) {
  return has_no(GemmType::kFp32);
}

Status WidenedGemm::gemm(const Gemm<double>& /*problem*/) {
  return has_no(GemmType::kFp64);
}

Status WidenedGemm::gemm(const Gemm<BFloat16>& problem) {
  return multiply_widened(problem, *this, wide_, team_, memory_, blocks_);
}

Status WidenedGemm::gemm(const Gemm<Float16>& problem) {
  return multiply_widened(problem, *this, wide_, team_, memory_, blocks_);
}

Status WidenedGemm::gemm(const Gemm<std::int8_t>& problem) {
  return multiply_widened(problem, *this, wide_, team_, memory_, blocks_);
}

Result<std::unique_ptr<PackedWeights>> WidenedGemm::pack(const GemmWeights& weights,
                                                         MemoryResource& memory) {
  if (weights.ldb < (weights.transpose ? weights.k : weights.n)) {
    return fail(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  if (!supports(weights.type)) return fail(has_no(weights.type));
  auto buffer = Buffer::make(memory, weights.k * weights.n * sizeof(float));
  if (!buffer) return fail(buffer.error());
  float* to = buffer->as<float>();
  if (weights.type == GemmType::kBf16) widen_op_b<BFloat16>(weights, to);
  if (weights.type == GemmType::kFp16) widen_op_b<Float16>(weights, to);
  if (weights.type == GemmType::kInt8) widen_op_b<std::int8_t>(weights, to);
  return std::make_unique<WidenedWeights>(*this, weights, *std::move(buffer));
}

}  // namespace overwinter::worker
