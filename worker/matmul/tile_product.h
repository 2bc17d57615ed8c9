// TileProduct: one seat's product, tile by tile. Holds the panels of A and B (or reads them in
// place), never the tiles of C.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "common/plan/matmul_geometry.h"
#include "worker/kernels/gemm.h"
#include "worker/matmul/panel_loader.h"
#include "worker/matmul/ports.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// As what factors are multiplied.
[[nodiscard]] GemmType gemm_type(plan::Precision precision);

// One thread computes; loading goes on in threads of its own.
class TileProduct {
 public:
  // Takes the panels' memory: what plan::matmul_memory says, or nothing for a factor that is
  // mapped. `source`, `backend` and `memory` outlive it. A geometry that is halved wants a backend
  // that halves (StrassenGemm) and has been given the tokens of compute().
  [[nodiscard]] static Result<std::unique_ptr<TileProduct>> make(
      const plan::MatmulGeometry& geometry, BlockSource& source, GemmBackend& backend,
      MemoryResource& memory);
  ~TileProduct();

  // Units that will be computed, in this order: what is loaded ahead. The unit in work is the
  // first.
  void plan(std::span<const UnitNumber> upcoming);
  // Bytes of the unit's tile.
  [[nodiscard]] std::uint64_t tile_bytes(UnitNumber unit) const;
  // The tile as dense rows into `c` (tile_bytes). CANCELLED on stop, noticed within a few dozen
  // milliseconds; where products are halved, within one of halves. `fraction` (0 to 1) is told as
  // the work goes on; may be empty.
  Status compute(UnitNumber unit, std::byte* c, const std::stop_token& stop,
                 const std::function<void(double)>& fraction = {});

  [[nodiscard]] std::uint64_t blocks_loaded() const;

 private:
  TileProduct(const plan::MatmulGeometry& geometry, BlockSource& source, GemmBackend& backend);
  // Stored: what A and B lie in; Factor: what is multiplied, as which Stored is or is rounded to.
  template <class Stored, class Factor>
  Status compute_as(UnitNumber unit, std::byte* c, const std::stop_token& stop,
                    const std::function<void(double)>& fraction);
  template <class T>
  struct Panel;
  template <class Stored, class Factor>
  Status multiply_panel(const plan::Tile& tile, const Panel<Stored>& a, const Panel<Stored>& b,
                        typename Gemm<Factor>::Sum* c, bool first, const std::stop_token& stop);
  // p.a and p.b: these parts of the panels, `begin` deep in them; rounded into rounded_.
  template <class Stored, class Factor>
  void take_factors(const Panel<Stored>& a, const Panel<Stored>& b, std::uint64_t begin,
                    Gemm<Factor>& p);
  template <class T>
  [[nodiscard]] Result<Panel<T>> panel(Operand operand, const plan::Tile& tile,
                                       std::uint64_t panel_index, const std::stop_token& stop);
  template <class T>
  void release(const Panel<T>& panel);
  [[nodiscard]] Block block(Operand operand, const PanelKey& key) const;
  [[nodiscard]] PanelKey key(Operand operand, const plan::Tile& tile, std::uint64_t panel) const;
  [[nodiscard]] std::uint64_t panels() const;
  [[nodiscard]] const MappedMatrix* in_place(Operand operand) const;
  [[nodiscard]] std::unique_ptr<PanelLoader>& loader(Operand operand);

  const plan::MatmulGeometry geometry_;
  const plan::TileGrid grid_;
  BlockSource& source_;
  GemmBackend& backend_;
  std::unique_ptr<PanelLoader> loaders_[2];  // null: in place
  Buffer rounded_;                           // of A, then of B; empty: nothing is rounded
  std::vector<UnitNumber> upcoming_;
  std::uint64_t panel_in_work_ = 0;
  void plan_loaders();
};

}  // namespace overwinter::worker
