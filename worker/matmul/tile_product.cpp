#include "worker/matmul/tile_product.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "common/base/check.h"
#include "common/plan/memory_estimate.h"
#include "worker/kernels/convert.h"

namespace overwinter::worker {
namespace {

// Blocks that are planned ahead, of each factor.
constexpr std::size_t kLookAhead = 16;
// Work between two looks at the stop token: some 50 ms of one slow core.
constexpr double kFlopsBetweenLooks = 2e9;
// A product over less depth than this wastes the kernel.
constexpr std::uint64_t kDepthMin = 256;

void round_line(const float* from, std::uint64_t count, Float16* to) {
  narrow(from, count, to);
}
// Every processor is to give one result.
void round_line(const float* from, std::uint64_t count, BFloat16* to) {
  narrow(from, count, to);
  for (std::uint64_t i = 0; i < count; ++i) to[i] = without_subnormal(to[i]);
}

// `lines` lines of `count` numbers, packed.
template <class To>
void round_lines(const float* from, std::uint64_t stride, std::uint64_t lines, std::uint64_t count,
                 To* to) {
  for (std::uint64_t i = 0; i < lines; ++i) round_line(from + i * stride, count, to + i * count);
}

}  // namespace

// A part of a factor: `rows` x `columns` of it, at data with a stride.
template <class T>
struct TileProduct::Panel {
  const T* data = nullptr;
  std::uint64_t stride = 0;
  bool transposed = false;
  std::uint64_t depth = 0;
  PanelLoader* loader = nullptr;  // to be released there; null: in place
  PanelKey key;
};

GemmType gemm_type(plan::Precision precision) {
  switch (precision) {
    case plan::Precision::kFp64:
      return GemmType::kFp64;
    case plan::Precision::kBf16:
      return GemmType::kBf16;
    case plan::Precision::kFp16:
      return GemmType::kFp16;
    case plan::Precision::kInt8:
      return GemmType::kInt8;
    case plan::Precision::kFp32:
      break;
  }
  return GemmType::kFp32;
}

TileProduct::TileProduct(const plan::MatmulGeometry& geometry, BlockSource& source,
                         GemmBackend& backend)
    : geometry_(geometry), grid_(geometry.grid()), source_(source), backend_(backend) {}

TileProduct::~TileProduct() = default;

Result<std::unique_ptr<TileProduct>> TileProduct::make(const plan::MatmulGeometry& geometry,
                                                       BlockSource& source, GemmBackend& backend,
                                                       MemoryResource& memory) {
  std::unique_ptr<TileProduct> product(new TileProduct(geometry, source, backend));
  if (geometry.k == 0 || product->grid_.units() == 0) return product;
  const plan::MatmulMemory sizes = plan::matmul_memory(geometry, 1);
  auto rounded = Buffer::make(memory, sizes.rounded_bytes);
  if (!rounded) return fail(rounded.error());
  product->rounded_ = std::move(*rounded);
  for (const Operand operand : {Operand::kA, Operand::kB}) {
    if (const MappedMatrix* mapped = source.mapped(operand)) {
      const bool a = operand == Operand::kA;
      if (mapped->rows != (a ? geometry.m : geometry.k) ||
          mapped->columns != (a ? geometry.k : geometry.n)) {
        return fail(Code::kFailedPrecondition, std::string("the stored matrix ") + (a ? "A" : "B") +
                                                   " has another shape than the plan says");
      }
    }
    if (product->in_place(operand) != nullptr) continue;
    const bool a = operand == Operand::kA;
    const std::uint64_t size = plan::factor_bytes(geometry.precision);
    auto load = [self = product.get(), operand, size](const PanelKey& key, std::byte* out,
                                                      const std::stop_token& stop) {
      const Block wanted = self->block(operand, key);
      const std::size_t bytes = wanted.rows() * wanted.columns() * size;
      return self->source_.read(operand, wanted, std::span(out, bytes), stop);
    };
    auto loader = PanelLoader::make(memory, a ? sizes.a_blocks : sizes.b_blocks,
                                    a ? sizes.a_block_bytes : sizes.b_block_bytes, std::move(load));
    if (!loader) return fail(loader.error());
    product->loader(operand) = std::move(*loader);
  }
  return product;
}

std::unique_ptr<PanelLoader>& TileProduct::loader(Operand operand) {
  return loaders_[static_cast<std::size_t>(operand)];
}

const MappedMatrix* TileProduct::in_place(Operand operand) const {
  const MappedMatrix* mapped = source_.mapped(operand);
  if (mapped == nullptr) return nullptr;
  const std::uint64_t stride = mapped->fortran_order ? mapped->rows : mapped->columns;
  // BLAS counts in 32 bits: a longer stride is read block by block.
  return stride <= std::numeric_limits<std::int32_t>::max() ? mapped : nullptr;
}

std::uint64_t TileProduct::panels() const {
  return geometry_.k == 0 ? 0 : (geometry_.k - 1) / geometry_.panel_depth + 1;
}

PanelKey TileProduct::key(Operand operand, const plan::Tile& tile, std::uint64_t panel) const {
  const std::uint64_t line = operand == Operand::kA ? tile.row_begin / geometry_.tile_rows
                                                    : tile.column_begin / geometry_.tile_columns;
  return {line, panel};
}

Block TileProduct::block(Operand operand, const PanelKey& key) const {
  const std::uint64_t depth_begin = key.panel * geometry_.panel_depth;
  const std::uint64_t depth_end =
      std::min(geometry_.k, depth_begin + std::min(geometry_.panel_depth, geometry_.k));
  if (operand == Operand::kA) {
    const std::uint64_t begin = key.line * geometry_.tile_rows;
    return {begin, std::min(geometry_.m, begin + geometry_.rows()), depth_begin, depth_end};
  }
  const std::uint64_t begin = key.line * geometry_.tile_columns;
  return {depth_begin, depth_end, begin, std::min(geometry_.n, begin + geometry_.columns())};
}

void TileProduct::plan(std::span<const UnitNumber> upcoming) {
  upcoming_.assign(upcoming.begin(), upcoming.begin() + static_cast<std::ptrdiff_t>(
                                                            std::min(upcoming.size(), kLookAhead)));
  plan_loaders();
}

void TileProduct::plan_loaders() {
  std::vector<PanelKey> keys[2];
  std::uint64_t panel = panel_in_work_;
  std::size_t steps = 0;
  for (const UnitNumber unit : upcoming_) {
    const plan::Tile tile = grid_.tile(unit);
    for (; panel < panels() && steps < kLookAhead; ++panel, ++steps) {
      for (const Operand operand : {Operand::kA, Operand::kB}) {
        keys[static_cast<std::size_t>(operand)].push_back(key(operand, tile, panel));
      }
    }
    panel = 0;
  }
  for (const Operand operand : {Operand::kA, Operand::kB}) {
    if (loader(operand)) loader(operand)->plan(std::move(keys[static_cast<std::size_t>(operand)]));
  }
}

std::uint64_t TileProduct::tile_bytes(UnitNumber unit) const {
  return grid_.tile(unit).elements() * plan::result_bytes(geometry_.precision);
}

std::uint64_t TileProduct::blocks_loaded() const {
  std::uint64_t loaded = 0;
  for (const auto& loader : loaders_) {
    if (loader) loaded += loader->loads();
  }
  return loaded;
}

template <class T>
Result<TileProduct::Panel<T>> TileProduct::panel(Operand operand, const plan::Tile& tile,
                                                 std::uint64_t panel_index,
                                                 const std::stop_token& stop) {
  Panel<T> panel;
  panel.key = key(operand, tile, panel_index);
  const Block where = block(operand, panel.key);
  panel.depth = operand == Operand::kA ? where.columns() : where.rows();
  if (const MappedMatrix* mapped = in_place(operand)) {
    panel.transposed = mapped->fortran_order;
    panel.stride = mapped->fortran_order ? mapped->rows : mapped->columns;
    const std::uint64_t offset = mapped->fortran_order
                                     ? where.column_begin * panel.stride + where.row_begin
                                     : where.row_begin * panel.stride + where.column_begin;
    panel.data = reinterpret_cast<const T*>(mapped->data) + offset;
    return panel;
  }
  panel.loader = loader(operand).get();
  auto data = panel.loader->acquire(panel.key, stop);
  if (!data) return fail(data.error());
  panel.data = reinterpret_cast<const T*>(*data);
  panel.stride = where.columns();
  return panel;
}

template <class T>
void TileProduct::release(const Panel<T>& panel) {
  if (panel.loader != nullptr) panel.loader->release(panel.key);
}

template <class Stored, class Factor>
void TileProduct::take_factors(const Panel<Stored>& a, const Panel<Stored>& b, std::uint64_t begin,
                               Gemm<Factor>& p) {
  p.transpose_a = a.transposed;
  p.transpose_b = b.transposed;
  p.lda = a.stride;
  p.ldb = b.stride;
  const Stored* from_a = a.transposed ? a.data + begin * a.stride : a.data + begin;
  const Stored* from_b = b.transposed ? b.data + begin : b.data + begin * b.stride;
  if constexpr (std::is_same_v<Stored, Factor>) {
    p.a = from_a;
    p.b = from_b;
  } else {
    auto* to_a = rounded_.template as<Factor>();
    Factor* to_b = to_a + p.m * p.k;
    p.lda = a.transposed ? p.m : p.k;
    p.ldb = b.transposed ? p.k : p.n;
    round_lines(from_a, a.stride, a.transposed ? p.k : p.m, p.lda, to_a);
    round_lines(from_b, b.stride, b.transposed ? p.n : p.k, p.ldb, to_b);
    p.a = to_a;
    p.b = to_b;
  }
}

template <class Stored, class Factor>
Status TileProduct::multiply_panel(const plan::Tile& tile, const Panel<Stored>& a,
                                   const Panel<Stored>& b, typename Gemm<Factor>::Sum* c,
                                   bool first, const std::stop_token& stop) {
  using Sum = typename Gemm<Factor>::Sum;
  const double flops_per_depth = 2.0 * static_cast<double>(tile.elements());
  auto depth = std::max<std::uint64_t>(
      kDepthMin, static_cast<std::uint64_t>(kFlopsBetweenLooks / flops_per_depth));
  if (!std::is_same_v<Stored, Factor>) depth = std::min(depth, plan::kRoundedDepth);
  // A backend that halves products needs them whole, and looks at the token itself.
  if (geometry_.strassen_levels > 0) depth = std::max<std::uint64_t>(a.depth, 1);
  for (std::uint64_t begin = 0; begin < a.depth; begin += depth) {
    if (stop.stop_requested()) return error(Code::kCancelled, "the work was given up");
    Gemm<Factor> p;
    p.m = tile.rows();
    p.n = tile.columns();
    p.k = std::min(depth, a.depth - begin);
    take_factors(a, b, begin, p);
    p.beta = first && begin == 0 ? Sum(0) : Sum(1);
    p.c = c;
    p.ldc = tile.columns();
    if (Status done = backend_.gemm(p); !done.ok()) return done;
  }
  return Status::success();
}

template <class Stored, class Factor>
Status TileProduct::compute_as(UnitNumber unit, std::byte* bytes, const std::stop_token& stop,
                               const std::function<void(double)>& fraction) {
  using Sum = typename Gemm<Factor>::Sum;
  auto* c = reinterpret_cast<Sum*>(bytes);
  const plan::Tile tile = grid_.tile(unit);
  if (geometry_.k == 0) {
    std::memset(c, 0, tile.elements() * sizeof(Sum));
    return Status::success();
  }
  for (std::uint64_t index = 0; index < panels(); ++index) {
    panel_in_work_ = index;
    if (panels() > 1) plan_loaders();
    auto a = panel<Stored>(Operand::kA, tile, index, stop);
    if (!a) return a.error();
    auto b = panel<Stored>(Operand::kB, tile, index, stop);
    Status done = b ? multiply_panel<Stored, Factor>(tile, *a, *b, c, index == 0, stop) : b.error();
    release(*a);
    if (b) release(*b);
    if (!done.ok()) return done;
    if (fraction) fraction(static_cast<double>(index + 1) / static_cast<double>(panels()));
  }
  return Status::success();
}

Status TileProduct::compute(UnitNumber unit, std::byte* c, const std::stop_token& stop,
                            const std::function<void(double)>& fraction) {
  check(unit < grid_.units(), "the unit is of this product");
  panel_in_work_ = 0;
  const auto by = [&]<class Stored, class Factor>(Stored /*of*/, Factor /*of*/) {
    return compute_as<Stored, Factor>(unit, c, stop, fraction);
  };
  Status done;
  switch (geometry_.precision) {
    case plan::Precision::kFp32:
      done = by(float(), float());
      break;
    case plan::Precision::kFp64:
      done = by(double(), double());
      break;
    case plan::Precision::kBf16:
      done = by(float(), BFloat16());
      break;
    case plan::Precision::kFp16:
      done = by(float(), Float16());
      break;
    case plan::Precision::kInt8:
      done = by(std::int8_t(), std::int8_t());
      break;
  }
  panel_in_work_ = 0;
  return done;
}

}  // namespace overwinter::worker
