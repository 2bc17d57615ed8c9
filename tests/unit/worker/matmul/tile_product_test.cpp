#include "worker/matmul/tile_product.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "common/plan/memory_estimate.h"
#include "common/plan/strassen_plan.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/kernels/reference_gemm.h"
#include "worker/kernels/strassen_gemm.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

using plan::MatmulGeometry;
using plan::Precision;

// Both factors in memory, in either order; handed out by block or in place.
template <class T>
class MemorySource final : public BlockSource {
 public:
  MemorySource(const MatmulGeometry& g, bool a_fortran, bool b_fortran, bool in_place)
      : in_place_(in_place) {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> uniform(-1, 1);
    fill(0, g.m, g.k, a_fortran, uniform, random);
    fill(1, g.k, g.n, b_fortran, uniform, random);
  }
  Status read(Operand operand, const Block& block, std::span<std::byte> out,
              std::stop_token stop) override {
    const auto i = static_cast<std::size_t>(operand);
    if (fails) return error(Code::kNotFound, "no such blob");
    if (stalls) {
      reached.store(true);
      reached.notify_all();
      Mutex mutex;
      Condition condition;
      std::unique_lock lock(mutex);
      condition.wait(lock, stop, [] { return false; });
      return error(Code::kCancelled, "stopped");
    }
    EXPECT_EQ(out.size(), block.rows() * block.columns() * sizeof(T));
    bytes_read += out.size();
    T* to = reinterpret_cast<T*>(out.data());
    for (std::uint64_t r = block.row_begin; r < block.row_end; ++r) {
      for (std::uint64_t c = block.column_begin; c < block.column_end; ++c) *to++ = at(i, r, c);
    }
    return Status::success();
  }
  const MappedMatrix* mapped(Operand operand) const override {
    return in_place_ ? &matrices_[static_cast<std::size_t>(operand)] : nullptr;
  }
  [[nodiscard]] T at(std::size_t i, std::uint64_t r, std::uint64_t c) const {
    const MappedMatrix& m = matrices_[i];
    return values_[i][m.fortran_order ? c * m.rows + r : r * m.columns + c];
  }

  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<bool> fails{false};
  std::atomic<bool> stalls{false};
  std::atomic<bool> reached{false};

 private:
  template <class U, class R>
  void fill(std::size_t i, std::uint64_t rows, std::uint64_t columns, bool fortran, U& uniform,
            R& random) {
    values_[i].resize(rows * columns);
    for (T& v : values_[i]) v = static_cast<T>(uniform(random));
    matrices_[i] = {reinterpret_cast<const std::byte*>(values_[i].data()), rows, columns, fortran};
  }
  bool in_place_;
  std::vector<T> values_[2];
  MappedMatrix matrices_[2];
};

MatmulGeometry geometry(std::uint64_t m, std::uint64_t k, std::uint64_t n, std::uint64_t rows,
                        std::uint64_t columns, std::uint64_t depth, std::uint64_t group,
                        Precision precision) {
  MatmulGeometry g;
  g.m = m;
  g.k = k;
  g.n = n;
  g.tile_rows = rows;
  g.tile_columns = columns;
  g.panel_depth = depth;
  g.group_rows = group;
  g.precision = precision;
  return g;
}

template <class T>
void expect_product(const MemorySource<T>& source, const plan::Tile& tile, std::uint64_t k,
                    const std::vector<T>& c, double allowed) {
  for (std::uint64_t i = 0; i < tile.rows(); ++i) {
    for (std::uint64_t j = 0; j < tile.columns(); ++j) {
      double want = 0;
      for (std::uint64_t l = 0; l < k; ++l) {
        want += static_cast<double>(source.at(0, tile.row_begin + i, l)) *
                static_cast<double>(source.at(1, l, tile.column_begin + j));
      }
      ASSERT_NEAR(want, static_cast<double>(c[i * tile.columns() + j]), allowed);
    }
  }
}

template <class T>
void product_is_right(const MatmulGeometry& g, bool a_fortran, bool b_fortran, bool in_place) {
  MemorySource<T> source(g, a_fortran, b_fortran, in_place);
  ThreadTeam team(2);
  OpenBlasGemm backend(team);
  HostResource host;
  // Exactly what the planner says, less what it leaves for C and the library: not a byte more is
  // taken.
  const plan::MatmulMemory sizes = plan::matmul_memory(g, 2);
  LimitingResource limit(
      host, sizes.a_blocks * sizes.a_block_bytes + sizes.b_blocks * sizes.b_block_bytes,
      "the seat");
  auto product = TileProduct::make(g, source, backend, limit);
  ASSERT_TRUE(product.has_value()) << product.error().message;
  const plan::TileGrid grid = g.grid();
  std::vector<UnitNumber> units(grid.units());
  for (UnitNumber u = 0; u < units.size(); ++u) units[u] = u;
  const double tolerance =
      (sizeof(T) == 4 ? 1e-6 : 1e-15) * std::sqrt(static_cast<double>(g.k) + 1) * 3;
  for (UnitNumber u = 0; u < units.size(); ++u) {
    (*product)->plan(std::span(units).subspan(u));
    const plan::Tile tile = grid.tile(u);
    ASSERT_EQ((*product)->tile_bytes(u), tile.elements() * sizeof(T));
    std::vector<T> c(tile.elements(), T(99));
    ASSERT_TRUE((*product)->compute(u, reinterpret_cast<std::byte*>(c.data()), {}).ok());
    expect_product(source, tile, g.k, c, tolerance);
  }
  if (in_place) {
    EXPECT_EQ((*product)->blocks_loaded(), 0U);
  }
}

TEST(TileProduct, IsRightForAnyShapeOrderAndCut) {
  struct Case {
    std::uint64_t m, k, n, rows, columns, depth, group;
  };
  for (const Case& c :
       {Case{30, 20, 25, 8, 7, 20, 2}, Case{30, 20, 25, 8, 7, 6, 2}, Case{1, 50, 33, 16, 16, 50, 4},
        Case{33, 50, 1, 16, 16, 7, 4}, Case{17, 1, 9, 5, 4, 1, 3}, Case{12, 0, 9, 5, 4, 1, 1},
        Case{5, 300, 5, 100, 100, 1000, 9}}) {
    for (int order = 0; order < 4; ++order) {
      for (const bool in_place : {false, true}) {
        const auto g4 =
            geometry(c.m, c.k, c.n, c.rows, c.columns, c.depth, c.group, Precision::kFp32);
        const auto g8 =
            geometry(c.m, c.k, c.n, c.rows, c.columns, c.depth, c.group, Precision::kFp64);
        product_is_right<float>(g4, (order & 1) != 0, (order & 2) != 0, in_place);
        product_is_right<double>(g8, (order & 1) != 0, (order & 2) != 0, in_place);
      }
    }
  }
}

// The panels and what is halved together take what the planner says, whole and streamed.
template <class T>
void halved_product_is_right(MatmulGeometry g, bool fortran) {
  g.strassen_levels = 2;
  MemorySource<T> source(g, fortran, fortran, false);
  ThreadTeam team(2);
  OpenBlasGemm plain(team);
  HostResource host;
  const plan::MatmulMemory sizes = plan::matmul_memory(g, 2);
  LimitingResource limit(host,
                         sizes.a_blocks * sizes.a_block_bytes +
                             sizes.b_blocks * sizes.b_block_bytes + sizes.strassen_bytes,
                         "the seat");
  StrassenGemm halving(plain, team, limit);
  halving.use(GemmTraits<T>::kType, plan::strassen_rule(g));
  ASSERT_TRUE(halving.reserve(sizes.strassen_bytes).ok());
  auto product = TileProduct::make(g, source, halving, limit);
  ASSERT_TRUE(product.has_value()) << product.error().message;
  const double allowed = plan::error_bound(g) * static_cast<double>(g.k);  // elements are below 1
  for (UnitNumber u = 0; u < g.grid().units(); ++u) {
    const plan::Tile tile = g.grid().tile(u);
    std::vector<T> c(tile.elements(), T(99));
    ASSERT_TRUE((*product)->compute(u, reinterpret_cast<std::byte*>(c.data()), {}).ok());
    expect_product(source, tile, g.k, c, allowed);
  }
  EXPECT_LE(limit.peak_bytes(), limit.allowed_bytes());
}

TEST(TileProduct, IsRightAndWithinItsMemoryWhereProductsAreHalved) {
  for (const std::uint64_t depth : {90U, 33U}) {
    for (const bool fortran : {false, true}) {
      halved_product_is_right<float>(geometry(70, 90, 101, 40, 52, depth, 2, Precision::kFp32),
                                     fortran);
      halved_product_is_right<double>(geometry(70, 90, 101, 40, 52, depth, 2, Precision::kFp64),
                                      fortran);
    }
  }
}

TEST(TileProduct, ReadsEachPanelOfAGroupOnceWhenItHoldsThem) {
  // 4 x 5 tiles in groups of 2 rows: A is read once; B once for each of the two groups.
  const auto g = geometry(40, 30, 50, 10, 10, 30, 2, Precision::kFp32);
  MemorySource<float> source(g, false, false, false);
  ReferenceGemm backend;
  HostResource host;
  auto product = TileProduct::make(g, source, backend, host).value();
  std::vector<UnitNumber> units(g.grid().units());
  for (UnitNumber u = 0; u < units.size(); ++u) units[u] = u;
  std::vector<float> c(100);
  for (UnitNumber u = 0; u < units.size(); ++u) {
    product->plan(std::span(units).subspan(u));
    ASSERT_TRUE(product->compute(u, reinterpret_cast<std::byte*>(c.data()), {}).ok());
  }
  EXPECT_EQ(source.bytes_read, (40 * 30 + 2 * 30 * 50) * sizeof(float));
}

TEST(TileProduct, StopsWhenItIsToldToWhileItWaitsForABlock) {
  const auto g = geometry(10, 10, 10, 5, 5, 10, 1, Precision::kFp32);
  MemorySource<float> source(g, false, false, false);
  source.stalls = true;
  ReferenceGemm backend;
  HostResource host;
  auto product = TileProduct::make(g, source, backend, host).value();
  std::vector<float> c(25);
  std::stop_source stop;
  std::jthread stopper([&] {
    source.reached.wait(false);
    stop.request_stop();
  });
  const Status done = product->compute(0, reinterpret_cast<std::byte*>(c.data()), stop.get_token());
  EXPECT_EQ(done.code, Code::kCancelled);
}

TEST(TileProduct, ABlockThatCannotBeReadFailsTheUnit) {
  const auto g = geometry(10, 10, 10, 5, 5, 10, 1, Precision::kFp32);
  MemorySource<float> source(g, false, false, false);
  source.fails = true;
  ReferenceGemm backend;
  HostResource host;
  auto product = TileProduct::make(g, source, backend, host).value();
  std::vector<float> c(25);
  EXPECT_EQ(product->compute(3, reinterpret_cast<std::byte*>(c.data()), {}).code, Code::kNotFound);
}

TEST(TileProduct, TooLittleMemoryIsSaidBeforeAnythingRuns) {
  const auto g = geometry(100, 100, 100, 50, 50, 100, 1, Precision::kFp64);
  MemorySource<double> source(g, false, false, false);
  ReferenceGemm backend;
  HostResource host;
  LimitingResource limit(host, 50000, "the seat");
  auto product = TileProduct::make(g, source, backend, limit);
  ASSERT_FALSE(product.has_value());
  EXPECT_NE(product.error().message.find("allowed"), std::string::npos);
}

TEST(TileProduct, AMappedMatrixOfAnotherShapeIsRefused) {
  const auto g = geometry(10, 10, 10, 5, 5, 10, 1, Precision::kFp32);
  auto other = g;
  other.m = 11;
  MemorySource<float> source(other, false, false, true);
  ReferenceGemm backend;
  HostResource host;
  EXPECT_EQ(TileProduct::make(g, source, backend, host).error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace overwinter::worker
