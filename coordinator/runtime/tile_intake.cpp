#include "coordinator/runtime/tile_intake.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <utility>

#include "common/base/log.h"
#include "coordinator/runtime/disk_failed.h"

namespace overwinter::runtime {
TileIntake::TileIntake(artifacts::ResultStore& results, ResultKeeper& keeper, BlockingPool& pool,
                       EventQueue& queue, const artifacts::TileSinkConfig& config)
    : keeper_(keeper),
      pool_(pool),
      queue_(queue),
      sink_(
          results, keeper,
          [this](const std::vector<artifacts::Delivery>& deliveries) { landed(deliveries); },
          config) {}

void TileIntake::begin(const artifacts::Delivery& delivery, std::uint64_t size_bytes,
                       artifacts::TileSink::BeginFn begin) {
  keeper_.when_ready(delivery.seat.job,
                     [this, delivery, size_bytes, begin = std::move(begin)](const Status& status) {
                       if (!status.ok()) {
                         begin(tl::unexpected<Status>(status));
                         return;
                       }
                       sink_.begin(delivery, size_bytes,
                                   [this, delivery, begin](Result<artifacts::TileBuffer> buffer) {
                                     if (!buffer && buffer.error().code == Code::kAlreadyExists) {
                                       landed({delivery});
                                     }
                                     begin(std::move(buffer));
                                   });
                     });
}

void TileIntake::land(artifacts::TileBuffer tile, artifacts::TileSink::DoneFn done) {
  // std::function copies what it holds; the buffer can only be moved.
  auto held = std::make_shared<artifacts::TileBuffer>(std::move(tile));
  pool_.run_vital(Work::kTile, [this, held = std::move(held), done = std::move(done)] {
    land_now(std::move(*held), done);
  });
}

void TileIntake::land_now(artifacts::TileBuffer tile, const artifacts::TileSink::DoneFn& done) {
  const artifacts::Delivery delivery = tile.delivery();
  sink_.land(std::move(tile), [this, delivery, done](Result<artifacts::TileAnswer> answer) {
    if (answer && answer->outcome == artifacts::TileOutcome::kRejected) {
      queue_.post_vital(
          core::UnitRejected{delivery.seat, delivery.worker, delivery.unit, answer->message});
    }
    if (answer && answer->outcome == artifacts::TileOutcome::kRepeated) landed({delivery});
    done(std::move(answer));
  });
  if (sink_.flush_needed()) schedule_flush();
}

// A flush stands behind the tiles that wait already, so that they share its sync.
void TileIntake::schedule_flush() {
  if (flush_scheduled_.exchange(true)) return;
  pool_.run_vital(Work::kTile, [this] {
    flush_scheduled_ = false;
    const Status status = sink_.flush();
    if (status.ok()) return;
    log_error("a result could not be made durable: {}; ending, so that a restart replays what is",
              status.message);
    ::_exit(kDiskFailedExit);
  });
}

// Also said of a tile that had landed before: the core may have ignored the first word of it (an
// older attempt's), and saying it again changes nothing otherwise.
void TileIntake::landed(const std::vector<artifacts::Delivery>& deliveries) {
  std::map<std::pair<SeatKey, WorkerId>, UnitRanges> by_seat;
  for (const auto& delivery : deliveries) {
    by_seat[{delivery.seat, delivery.worker}].add({delivery.unit, delivery.unit + 1});
  }
  for (auto& [key, units] : by_seat) {
    queue_.post_vital(core::UnitsLanded{key.first, key.second, std::move(units)});
  }
}

}  // namespace overwinter::runtime
