// TileIntake: from a tile that a worker has sent whole to the event that makes its unit done. It
// waits until the job's sketch is made, checks and writes on the pool, syncs many tiles at once,
// posts UnitsLanded and only then answers the worker.
#pragma once

#include <atomic>

#include "coordinator/artifacts/tile_sink.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/result_keeper.h"

namespace overwinter::runtime {

// Thread-safe. All references outlive this; the pool is stopped before this is destroyed.
class TileIntake {
 public:
  TileIntake(artifacts::ResultStore& results, ResultKeeper& keeper, BlockingPool& pool,
             EventQueue& queue, const artifacts::TileSinkConfig& config);

  // Memory for a tile, once the job can take one; see TileSink::begin. Never blocks.
  void begin(const artifacts::Delivery& delivery, std::uint64_t size_bytes,
             artifacts::TileSink::BeginFn begin);
  // A full tile. `done` is called once, from the pool: LANDED when the tile is durable and its
  // event is in the queue, which is never refused.
  void land(artifacts::TileBuffer tile, artifacts::TileSink::DoneFn done);

  [[nodiscard]] std::uint64_t memory_bytes_held() const { return sink_.memory_bytes_held(); }

 private:
  void landed(const std::vector<artifacts::Delivery>& deliveries);
  void land_now(artifacts::TileBuffer tile, const artifacts::TileSink::DoneFn& done);
  void schedule_flush();

  ResultKeeper& keeper_;
  BlockingPool& pool_;
  EventQueue& queue_;
  artifacts::TileSink sink_;
  std::atomic<bool> flush_scheduled_{false};
};

}  // namespace overwinter::runtime
