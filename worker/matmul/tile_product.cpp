#include "worker/matmul/tile_product.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "common/base/check.h"
#include "common/plan/memory_estimate.h"

namespace overwinter::worker {
namespace {

// Blocks that are planned ahead, of each factor.
constexpr std::size_t kLookAhead = 16;
// Work between two looks at the stop token: some 50 ms of one slow core.
constexpr double kFlopsBetweenLooks = 2e9;
// A product over less depth than this wastes the kernel.
constexpr std::uint64_t kDepthMin = 256;

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
    const std::uint64_t size = plan::element_bytes(geometry.precision);
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
  return grid_.tile(unit).elements() * plan::element_bytes(geometry_.precision);
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

template <class T>
Status TileProduct::multiply_panel(const plan::Tile& tile, const Panel<T>& a, const Panel<T>& b,
                                   T* c, bool first, const std::stop_token& stop) {
  const double flops_per_depth = 2.0 * static_cast<double>(tile.elements());
  const auto depth = std::max<std::uint64_t>(
      kDepthMin, static_cast<std::uint64_t>(kFlopsBetweenLooks / flops_per_depth));
  for (std::uint64_t begin = 0; begin < a.depth; begin += depth) {
    if (stop.stop_requested()) return error(Code::kCancelled, "the work was given up");
    Gemm<T> p;
    p.transpose_a = a.transposed;
    p.transpose_b = b.transposed;
    p.m = tile.rows();
    p.n = tile.columns();
    p.k = std::min(depth, a.depth - begin);
    p.a = a.transposed ? a.data + begin * a.stride : a.data + begin;
    p.lda = a.stride;
    p.b = b.transposed ? b.data + begin : b.data + begin * b.stride;
    p.ldb = b.stride;
    p.beta = first && begin == 0 ? T(0) : T(1);
    p.c = c;
    p.ldc = tile.columns();
    if (Status done = backend_.gemm(p); !done.ok()) return done;
  }
  return Status::success();
}

template <class T>
Status TileProduct::compute_as(UnitNumber unit, T* c, const std::stop_token& stop,
                               const std::function<void(double)>& fraction) {
  const plan::Tile tile = grid_.tile(unit);
  if (geometry_.k == 0) {
    std::memset(c, 0, tile.elements() * sizeof(T));
    return Status::success();
  }
  for (std::uint64_t index = 0; index < panels(); ++index) {
    panel_in_work_ = index;
    if (panels() > 1) plan_loaders();
    auto a = panel<T>(Operand::kA, tile, index, stop);
    if (!a) return a.error();
    auto b = panel<T>(Operand::kB, tile, index, stop);
    Status done = b ? multiply_panel<T>(tile, *a, *b, c, index == 0, stop) : b.error();
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
  Status done = geometry_.precision == plan::Precision::kFp32
                    ? compute_as(unit, reinterpret_cast<float*>(c), stop, fraction)
                    : compute_as(unit, reinterpret_cast<double*>(c), stop, fraction);
  panel_in_work_ = 0;
  return done;
}

}  // namespace overwinter::worker
