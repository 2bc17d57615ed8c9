// Tiles of rounded factors and of int8, against sums in double of the same numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "common/plan/memory_estimate.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/matmul/tile_product.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

using plan::Precision;

// Both factors in memory, row by row or column by column; mapped or read block by block.
template <class T>
class StoredFactors final : public BlockSource {
 public:
  StoredFactors(const plan::MatmulGeometry& g, bool fortran, bool in_place) : in_place_(in_place) {
    fill(0, g.m, g.k, fortran);
    fill(1, g.k, g.n, !fortran);
  }
  Status read(Operand operand, const Block& block, std::span<std::byte> out,
              std::stop_token /*stop*/) override {
    std::size_t to = 0;
    for (std::uint64_t r = block.row_begin; r < block.row_end; ++r) {
      for (std::uint64_t c = block.column_begin; c < block.column_end; ++c) {
        const T value = at(static_cast<std::size_t>(operand), r, c);
        std::memcpy(out.data() + to, &value, sizeof(T));
        to += sizeof(T);
      }
    }
    return to == out.size() ? Status::success() : error(Code::kInternal, "another size");
  }
  const MappedMatrix* mapped(Operand operand) const override {
    return in_place_ ? &matrices_[static_cast<std::size_t>(operand)] : nullptr;
  }
  T at(std::size_t i, std::uint64_t r, std::uint64_t c) const {
    const MappedMatrix& m = matrices_[i];
    return values_[i][m.fortran_order ? c * m.rows + r : r * m.columns + c];
  }

 private:
  void fill(std::size_t i, std::uint64_t rows, std::uint64_t columns, bool fortran) {
    values_[i].resize(rows * columns);
    for (T& v : values_[i]) {
      if constexpr (sizeof(T) == 1) {
        v = static_cast<T>(std::uniform_int_distribution<int>(-128, 127)(random_));
      } else {
        v = std::normal_distribution<T>()(random_);
        if (random_() % 64 == 0) v *= 0x1p-127F;  // subnormal
      }
    }
    matrices_[i] = {reinterpret_cast<const std::byte*>(values_[i].data()), rows, columns, fortran};
  }
  const bool in_place_;
  std::mt19937 random_{1};
  std::vector<T> values_[2];
  MappedMatrix matrices_[2];
};

double factor(float x, Precision p) {
  return static_cast<double>(p == Precision::kBf16 ? to_float(without_subnormal(to_bfloat16(x)))
                                                   : to_float(to_float16(x)));
}
double factor(std::int8_t x, Precision /*p*/) {
  return x;
}

template <class Stored, class Result>
void tiles_are_right(const plan::MatmulGeometry& g, bool fortran, bool in_place) {
  StoredFactors<Stored> source(g, fortran, in_place);
  ThreadTeam team(2);
  HostResource host;
  ChosenGemm backend(team, host);
  const plan::MatmulMemory sizes = plan::matmul_memory(g, 2);
  LimitingResource limit(host,
                         sizes.a_blocks * sizes.a_block_bytes +
                             sizes.b_blocks * sizes.b_block_bytes + sizes.rounded_bytes,
                         "the seat");
  auto product = TileProduct::make(g, source, backend, limit);
  ASSERT_TRUE(product.has_value()) << product.error().message;
  const plan::TileGrid grid = g.grid();
  for (UnitNumber u = 0; u < grid.units(); ++u) {
    const std::vector<UnitNumber> upcoming{u};
    (*product)->plan(upcoming);
    const plan::Tile tile = grid.tile(u);
    std::vector<Result> c(tile.elements(), Result(99));
    ASSERT_EQ((*product)->tile_bytes(u), c.size() * sizeof(Result));
    ASSERT_TRUE((*product)->compute(u, reinterpret_cast<std::byte*>(c.data()), {}).ok());
    for (std::uint64_t i = 0; i < tile.rows(); ++i) {
      for (std::uint64_t j = 0; j < tile.columns(); ++j) {
        double want = 0;
        double size = 0;
        for (std::uint64_t l = 0; l < g.k; ++l) {
          const double term = factor(source.at(0, tile.row_begin + i, l), g.precision) *
                              factor(source.at(1, l, tile.column_begin + j), g.precision);
          want += term;
          size += std::abs(term);
        }
        const double allowed =
            sizeof(Stored) == 1 ? 0 : gemm_error_factor(GemmType::kBf16, g.k) * size;
        ASSERT_LE(std::abs(want - static_cast<double>(c[i * tile.columns() + j])), allowed);
      }
    }
  }
}

TEST(TileProduct, RoundsFactorsAndSumsInt8ExactlyForAnyCut) {
  struct Case {
    std::uint64_t m, k, n, rows, columns, depth, group;
  };
  for (const Case& c : {Case{30, 20, 25, 8, 7, 20, 2}, Case{30, 20, 25, 8, 7, 6, 2},
                        Case{1, 50, 33, 16, 16, 50, 4}, Case{12, 0, 9, 5, 4, 1, 1},
                        Case{5, 2500, 6, 100, 100, 3000, 9}, Case{9, 2500, 6, 5, 4, 1100, 1}}) {
    for (int way = 0; way < 4; ++way) {
      plan::MatmulGeometry g{.m = c.m,
                             .k = c.k,
                             .n = c.n,
                             .precision = Precision::kBf16,
                             .tile_rows = c.rows,
                             .tile_columns = c.columns,
                             .panel_depth = c.depth,
                             .group_rows = c.group};
      tiles_are_right<float, float>(g, (way & 1) != 0, (way & 2) != 0);
      g.precision = Precision::kFp16;
      tiles_are_right<float, float>(g, (way & 1) != 0, (way & 2) != 0);
      g.precision = Precision::kInt8;
      tiles_are_right<std::int8_t, std::int32_t>(g, (way & 1) != 0, (way & 2) != 0);
    }
  }
}

}  // namespace
}  // namespace overwinter::worker
