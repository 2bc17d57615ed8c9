// ResultKeeper: the results of jobs under way. Prepares C and the job's sketch before any of its
// tiles is checked, seals C when all units have landed, removes it when nobody wants it. Tiles that
// come before the sketch is made wait here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/verify/freivalds.h"
#include "coordinator/artifacts/result_store.h"
#include "coordinator/artifacts/tile_sink.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/ports.h"
#include "coordinator/runtime/sketch_maker.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/history.h"

namespace overwinter::runtime {

// At the start, before anybody uses them: removes results that no job owns, or a job that has left
// the core without having succeeded. `state` is what was replayed. Blocks.
Status remove_orphans(artifacts::ResultStore& results, const core::ClusterState& state,
                      store::History& history);

// The memory that all sketches may take together. Those of jobs that do not run are forgotten first
// (they are made anew); then a job's tiles wait until another job ends.
inline constexpr std::uint64_t kSketchesBytesMax = 2 * kGiB;

// Thread-safe. All references outlive this; the pool is stopped before this is destroyed.
class ResultKeeper final : public ResultPort, public artifacts::TileVerifier {
 public:
  ResultKeeper(const Views& views, const artifacts::BlobStore& blobs,
               artifacts::ResultStore& results, BlockingPool& pool, EventQueue& queue,
               std::uint64_t sketches_bytes_max = kSketchesBytesMax);

  // Effects; the work is done on the pool, for one job in the order given. A result for which the
  // disk has no room is posted as ResultRefused.
  void prepare(const core::PrepareResult& effect) override;
  void finish(const core::FinishResult& effect) override;
  void drop(const core::DropResult& effect) override;

  // Calls `then` once tiles of the job can be checked: at once, or from the pool. With an error
  // when the job is not under way (NOT_FOUND) or could not be prepared (UNAVAILABLE: try again; it
  // is tried again too).
  void when_ready(JobId job, const std::function<void(Status)>& then);

  [[nodiscard]] Result<artifacts::TileVerdict> verify(JobId job, UnitNumber unit,
                                                      const plan::Tile& tile,
                                                      std::span<const std::byte> data) override;

  // The sealed result of a job that succeeded, made whole first when a crash came between the job's
  // end and its sealing. Blocks; on the pool.
  [[nodiscard]] Result<artifacts::ResultManifest> sealed(const JobView& job);
  [[nodiscard]] Result<artifacts::ResultReader> read(const JobView& job);

 private:
  // What tiles of a job are checked with. Immutable.
  struct Ready {
    plan::MatmulGeometry geometry;
    Factors factors;
    std::shared_ptr<const verify::FreivaldsSketch> sketch;
  };
  struct Entry {
    std::shared_ptr<const Ready> ready;  // null: being prepared
    bool preparing = false;
    std::uint64_t sketch_bytes = 0;  // reserved for its sketch
    std::vector<std::function<void(Status)>> waiting;
  };

  void prepare_now(JobId job, const std::string& project, const std::string& plan);
  [[nodiscard]] Result<std::shared_ptr<const Ready>> make_ready(JobId job,
                                                                const std::string& project,
                                                                const std::string& plan);
  [[nodiscard]] Status reserve(JobId job, std::uint64_t sketch_bytes);
  void release(Entry& entry) OW_REQUIRES(mutex_);
  void forget(JobId job);
  void start(JobId job, std::string project, core::SharedBytes plan);
  [[nodiscard]] Status prepare_store(JobId job, const plan::MatmulGeometry& geometry,
                                     const UnitRanges& done);

  const Views& views_;
  const artifacts::BlobStore& blobs_;
  artifacts::ResultStore& results_;
  BlockingPool& pool_;
  EventQueue& queue_;
  const std::uint64_t sketches_bytes_max_;
  mutable Mutex mutex_;
  std::map<JobId, Entry> jobs_ OW_GUARDED_BY(mutex_);
  std::uint64_t sketches_bytes_ OW_GUARDED_BY(mutex_) = 0;  // of all entries
};

}  // namespace overwinter::runtime
