#include "worker/kernels/int8_gemm.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "worker/kernels/gemm_split.h"

namespace overwinter::worker {
namespace {

// Terms are walked in pairs: of a panel of B, a pair is two bytes of each of its 16 columns; of a
// strip of A, two int16 of each of its 6 rows.
constexpr std::size_t kPairOfB = 2 * kInt8TileColumns;
constexpr std::size_t kPairOfA = 2 * kInt8TileRows;
using Tile = std::int32_t[kInt8TileRows][kInt8TileColumns];

std::size_t pairs_of(std::size_t terms) {
  return (terms + 1) / 2;
}

// In registers: twelve of sums, two of B, one of A and one for a product. All loops over rows are
// unrolled, or GCC 12 keeps the sums in memory.
__attribute__((target("avx2"))) void multiply_tile(const std::int16_t* a, const std::int8_t* b,
                                                   std::size_t pairs, Tile& out) {
  __m256i sums[kInt8TileRows][2] = {};
  for (; pairs > 0; --pairs, a += kPairOfA, b += kPairOfB) {
    const auto* columns = reinterpret_cast<const __m128i*>(b);
    const __m256i left = _mm256_cvtepi8_epi16(_mm_loadu_si128(columns));
    const __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128(columns + 1));
#pragma GCC unroll 6
    for (std::size_t i = 0; i < kInt8TileRows; ++i) {
      std::int32_t pair;
      std::memcpy(&pair, a + 2 * i, sizeof(pair));
      const __m256i row = _mm256_set1_epi32(pair);
      sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(row, left));
      sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(row, right));
    }
  }
#pragma GCC unroll 6
  for (std::size_t i = 0; i < kInt8TileRows; ++i) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[i]), sums[i][0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[i] + 8), sums[i][1]);
  }
}

// A factor seen as lines (rows of A, columns of B) of terms.
struct Lines {
  const std::int8_t* data;
  std::size_t line_stride;
  std::size_t term_stride;
  [[nodiscard]] std::int8_t at(std::size_t line, std::size_t term) const {
    return data[line * line_stride + term * term_stride];
  }
};

Lines rows_of_a(const Gemm<std::int8_t>& p) {
  return p.transpose_a ? Lines{p.a, 1, p.lda} : Lines{p.a, p.lda, 1};
}

Lines columns_of_b(const std::int8_t* b, std::size_t ldb, bool transpose) {
  return transpose ? Lines{b, ldb, 1} : Lines{b, 1, ldb};
}

// `width` lines from `first` on, terms [begin, end), in pairs; what is beyond either is 0.
template <std::size_t width, class To>
void pack_strip(const Lines& from, std::size_t first, std::size_t lines, std::size_t begin,
                std::size_t end, To* to) {
  const std::size_t whole = end - (end - begin) % 2;
  if (lines < width) std::fill_n(to, pairs_of(end - begin) * 2 * width, To(0));
  if (from.term_stride == 1) {
    for (std::size_t line = 0; line < lines; ++line) {
      const std::int8_t* x = from.data + (first + line) * from.line_stride;
      To* at = to + 2 * line;
      for (std::size_t l = begin; l < whole; l += 2, at += 2 * width) {
        at[0] = x[l];
        at[1] = x[l + 1];
      }
    }
  } else {
    To* at = to;
    for (std::size_t l = begin; l < whole; l += 2, at += 2 * width) {
      const std::int8_t* x = from.data + first * from.line_stride + l * from.term_stride;
      for (std::size_t line = 0; line < lines; ++line) {
        at[2 * line] = x[line * from.line_stride];
        at[2 * line + 1] = x[line * from.line_stride + from.term_stride];
      }
    }
  }
  if (whole == end) return;
  To* last = to + (whole - begin) * width;
  for (std::size_t line = 0; line < lines; ++line) {
    last[2 * line] = from.at(first + line, whole);
    last[2 * line + 1] = 0;
  }
}

// Panels of 16 columns, each with all its pairs.
class Int8Panels final : public PackedWeights {
 public:
  Int8Panels(const GemmBackend& owner, const GemmWeights& of, Buffer buffer)
      : PackedWeights(owner, of), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::size_t bytes() const override { return buffer_.size(); }
  [[nodiscard]] std::size_t panel_bytes() const { return pairs_of(k()) * kPairOfB; }
  [[nodiscard]] const std::int8_t* panel(std::size_t column) const {
    return reinterpret_cast<const std::int8_t*>(buffer_.data()) +
           column / kInt8TileColumns * panel_bytes();
  }

 private:
  const Buffer buffer_;
};

// One thread's part of a product.
class Int8Part {
 public:
  // first_column: of the part in the packed weights.
  Int8Part(const Gemm<std::int8_t>& p, std::size_t first_column, Buffer& room)
      : p_(p),
        first_column_(first_column),
        packed_(static_cast<const Int8Panels*>(p.packed)),
        a_(room.as<std::int16_t>()),
        b_(reinterpret_cast<std::int8_t*>(a_ + kInt8BlockRows * kInt8BlockDepth)) {}

  void multiply() {
    for (std::size_t l = 0; l < p_.k; l += kInt8BlockDepth) {
      const std::size_t depth_end = std::min(p_.k, l + kInt8BlockDepth);
      for (std::size_t column = 0; column < p_.n; column += kInt8BlockColumns) {
        const std::size_t column_end = std::min(p_.n, column + kInt8BlockColumns);
        take_b(column, column_end, l, depth_end);
        for (std::size_t row = 0; row < p_.m; row += kInt8BlockRows) {
          const std::size_t row_end = std::min(p_.m, row + kInt8BlockRows);
          multiply_block(row, row_end, column, column_end, l, depth_end);
        }
      }
    }
  }

 private:
  void take_b(std::size_t column, std::size_t column_end, std::size_t begin, std::size_t end) {
    if (packed_ != nullptr) {
      panels_ = packed_->panel(first_column_ + column) + begin / 2 * kPairOfB;
      panel_stride_ = packed_->panel_bytes();
      return;
    }
    panels_ = b_;
    panel_stride_ = pairs_of(end - begin) * kPairOfB;
    const Lines from = columns_of_b(p_.b, p_.ldb, p_.transpose_b);
    std::int8_t* to = b_;
    for (; column < column_end; column += kInt8TileColumns, to += panel_stride_) {
      pack_strip<kInt8TileColumns>(from, column, std::min(kInt8TileColumns, column_end - column),
                                   begin, end, to);
    }
  }

  void multiply_block(std::size_t row, std::size_t row_end, std::size_t column,
                      std::size_t column_end, std::size_t begin, std::size_t end) {
    const std::size_t pairs = pairs_of(end - begin);
    const std::size_t strip = pairs * kPairOfA;
    const Lines from = rows_of_a(p_);
    for (std::size_t i = row; i < row_end; i += kInt8TileRows) {
      pack_strip<kInt8TileRows>(from, i, std::min(kInt8TileRows, row_end - i), begin, end,
                                a_ + (i - row) / kInt8TileRows * strip);
    }
    const std::int8_t* panel = panels_;
    for (std::size_t j = column; j < column_end; j += kInt8TileColumns, panel += panel_stride_) {
      for (std::size_t i = row; i < row_end; i += kInt8TileRows) {
        Tile tile;
        multiply_tile(a_ + (i - row) / kInt8TileRows * strip, panel, pairs, tile);
        add(tile, i, std::min(kInt8TileRows, row_end - i), j,
            std::min(kInt8TileColumns, column_end - j), begin == 0 ? p_.beta : 1);
      }
    }
  }

  // Modulo 2^32.
  void add(const Tile& tile, std::size_t row, std::size_t rows, std::size_t column,
           std::size_t columns, std::int32_t beta) {
    const auto low = [](std::int32_t x) { return static_cast<std::uint32_t>(x); };
    for (std::size_t i = 0; i < rows; ++i) {
      std::int32_t* c = p_.c + (row + i) * p_.ldc + column;
      if (beta == 0) {
        for (std::size_t j = 0; j < columns; ++j)
          c[j] = static_cast<std::int32_t>(low(p_.alpha) * low(tile[i][j]));
      } else {
        for (std::size_t j = 0; j < columns; ++j)
          c[j] = static_cast<std::int32_t>(low(p_.alpha) * low(tile[i][j]) + low(beta) * low(c[j]));
      }
    }
  }

  const Gemm<std::int8_t>& p_;
  const std::size_t first_column_;
  const Int8Panels* packed_;
  std::int16_t* a_;
  std::int8_t* b_;
  const std::int8_t* panels_ = nullptr;
  std::size_t panel_stride_ = 0;
};

bool has_avx2() {
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
  }();
  return has;
}

}  // namespace

bool Int8Gemm::supports(GemmType type) const {
  return type == GemmType::kInt8 && has_avx2();
}

Status Int8Gemm::gemm(const Gemm<float>& /*problem*/) {
  return has_no(GemmType::kFp32);
}

Status Int8Gemm::gemm(const Gemm<double>& /*problem*/) {
  return has_no(GemmType::kFp64);
}

Status Int8Gemm::gemm(const Gemm<std::int8_t>& p) {
  if (!supports(GemmType::kInt8)) return has_no(GemmType::kInt8);
  const Result<bool> begun = begin_product(p, *this);
  if (!begun) return begun.error();
  if (!*begun) return Status::success();
  while (rooms_.size() < team_.size()) {
    auto room = Buffer::make(memory_, kInt8ThreadBytes);
    if (!room) return room.error();
    rooms_.push_back(*std::move(room));
  }
  for_each_part(team_, p.m, p.n, split_of(p.m, p.n, team_.size()),
                [&](std::uint32_t thread, GemmShare rows, GemmShare columns) {
                  Int8Part(part_of(p, rows, columns), columns.begin, rooms_[thread]).multiply();
                });
  return Status::success();
}

Result<std::unique_ptr<PackedWeights>> Int8Gemm::pack(const GemmWeights& w,
                                                      MemoryResource& memory) {
  if (w.ldb < (w.transpose ? w.k : w.n)) {
    return fail(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  }
  if (!supports(w.type)) return fail(has_no(w.type));
  const std::size_t panels = (w.n + kInt8TileColumns - 1) / kInt8TileColumns;
  const std::size_t panel_bytes = pairs_of(w.k) * kPairOfB;
  if (panels != 0 && panel_bytes > std::numeric_limits<std::int64_t>::max() / panels) {
    return fail(Code::kResourceExhausted, "the weights have more bytes than 63 bits can count");
  }
  auto buffer = Buffer::make(memory, panels * panel_bytes);
  if (!buffer) return fail(buffer.error());
  const Lines from = columns_of_b(static_cast<const std::int8_t*>(w.b), w.ldb, w.transpose);
  auto* to = buffer->as<std::int8_t>();
  for (std::size_t column = 0; column < w.n && w.k != 0; column += kInt8TileColumns) {
    pack_strip<kInt8TileColumns>(from, column, std::min(kInt8TileColumns, w.n - column), 0, w.k,
                                 to + column / kInt8TileColumns * panel_bytes);
  }
  return std::make_unique<Int8Panels>(*this, w, *std::move(buffer));
}

}  // namespace overwinter::worker
