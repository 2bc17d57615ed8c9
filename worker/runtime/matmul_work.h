// MatmulWork: a seat of an elastic product. Reading (the loaders of TileProduct), computing (the
// device's executor) and sending (a thread of its own) overlap; two tiles of C let one be sent
// while the next is computed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/plan/matmul_geometry.h"
#include "worker/kernels/strassen_gemm.h"
#include "worker/matmul/tile_product.h"
#include "worker/runtime/seat_work.h"
#include "worker/runtime/tile_spool.h"

namespace overwinter::v1 {
class MatmulPlan;
}

namespace overwinter::worker {

class MatmulWork final : public SeatWork {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SeatWork>> make(const OfferSeat& offer,
                                                              const v1::MatmulPlan& plan,
                                                              Device& device,
                                                              ArtifactAccess& artifacts,
                                                              PostInput post);
  ~MatmulWork() override;

  [[nodiscard]] std::uint32_t pipeline_units() const override;
  void start(const UnitRanges& units) override;
  void abandon(const UnitRanges& units) override;
  void wind_down(Duration within) override;
  void renew(const std::string& capability) override;
  [[nodiscard]] std::uint64_t memory_used_bytes() const override;
  [[nodiscard]] std::uint64_t memory_peak_bytes() const override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Tile {
    UnitNumber unit = 0;
    std::size_t place = 0;  // of tiles_, or of the spool
    std::uint64_t bytes = 0;
    bool spooled = false;
  };

  MatmulWork(const OfferSeat& offer, Device& device, PostInput post);
  Status open(const OfferSeat& offer, const v1::MatmulPlan& plan, ArtifactAccess& artifacts);
  void compute_next();  // on the executor: computes one unit and posts itself again
  void post_next() OW_REQUIRES(mutex_);
  void finish(UnitNumber unit, std::size_t buffer, const Status& done);
  void send_loop(const std::stop_token& stop);
  // A tile that has no buffer to wait in while the coordinator is away goes to the spool; frees its
  // buffer.
  void spool_when_cut_off(Tile& tile) OW_REQUIRES(mutex_);
  void answer(const Tile& tile, const Result<TileAnswer>& sent);
  void give_up(UnitNumber unit, const Status& why);
  [[nodiscard]] static UnitRanges one(UnitNumber unit) { return UnitRanges({unit, unit + 1}); }

  const SeatKey seat_;
  Device& device_;
  const PostInput post_;
  plan::MatmulGeometry geometry_;
  LimitingResource memory_;
  LimitingResource::Charge workspace_;
  std::unique_ptr<SeatArtifacts> artifacts_;
  std::unique_ptr<StrassenGemm> strassen_;  // null: products are plain. For the executor alone
  std::unique_ptr<TileProduct> product_;    // the same
  std::vector<Buffer> tiles_;
  std::filesystem::path spool_folder_;

  mutable Mutex mutex_;
  Condition changed_;
  std::deque<UnitNumber> queue_ OW_GUARDED_BY(mutex_);                 // started, not begun
  std::map<UnitNumber, std::stop_source> work_ OW_GUARDED_BY(mutex_);  // computing or being sent
  std::optional<UnitNumber> computing_ OW_GUARDED_BY(mutex_);
  Clock::time_point computing_since_ OW_GUARDED_BY(mutex_);
  double unit_seconds_ OW_GUARDED_BY(mutex_) = 0;           // of the last whole tile
  std::vector<std::size_t> free_ OW_GUARDED_BY(mutex_);     // tiles_
  std::unique_ptr<TileSpool> spool_ OW_GUARDED_BY(mutex_);  // made when first needed
  bool spool_failed_ OW_GUARDED_BY(mutex_) = false;
  std::deque<Tile> outbox_ OW_GUARDED_BY(mutex_);
  bool next_posted_ OW_GUARDED_BY(mutex_) = false;
  bool failed_ OW_GUARDED_BY(mutex_) = false;
  std::jthread sender_;  // last: it uses the rest
};

}  // namespace overwinter::worker
