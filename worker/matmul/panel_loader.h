// PanelLoader: the blocks of one factor that a seat holds, loaded ahead of their use by a thread of
// its own, so that reading overlaps computing. The future is known (the seat's units are in order),
// so what is evicted is the block that is needed last (Belady), which for units in TileGrid order
// keeps a group's panels of A.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "worker/matmul/ports.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Which block: the tile row (A) or tile column (B), and the panel along k.
struct PanelKey {
  std::uint64_t line = 0;
  std::uint64_t panel = 0;
  friend auto operator<=>(const PanelKey&, const PanelKey&) = default;
};

// Thread-safe.
class PanelLoader {
 public:
  // Loads what the key names into memory of slot_bytes; how many bytes it was.
  using Load = std::function<Status(const PanelKey&, std::byte*, std::stop_token)>;

  // All memory is taken here: `slots` times slot_bytes, at least one slot. RESOURCE_EXHAUSTED by
  // the resource.
  [[nodiscard]] static Result<std::unique_ptr<PanelLoader>> make(MemoryResource& memory,
                                                                 std::uint32_t slots,
                                                                 std::uint64_t slot_bytes,
                                                                 Load load);
  ~PanelLoader();  // stops loading; waits for the load in work to notice
  PanelLoader(const PanelLoader&) = delete;
  PanelLoader& operator=(const PanelLoader&) = delete;

  // What will be used, in order; replaces what was said before. Bounded by the caller.
  void plan(std::vector<PanelKey> upcoming);
  // Waits until the block is there and pins it. CANCELLED on stop; the load's error when it failed.
  [[nodiscard]] Result<const std::byte*> acquire(const PanelKey& key, const std::stop_token& stop);
  void release(const PanelKey& key);

  [[nodiscard]] std::uint64_t loads() const;  // made so far

 private:
  enum class State : std::uint8_t { kEmpty, kLoading, kLoaded };
  struct Slot {
    State state = State::kEmpty;
    PanelKey key;
    std::uint32_t pins = 0;
    Buffer buffer;
  };

  explicit PanelLoader(Load load) : load_(std::move(load)) {}
  void run(const std::stop_token& stop);
  // What to load next and into which slot; nothing when all that is wanted is there or no slot may
  // be taken.
  [[nodiscard]] std::optional<std::pair<Slot*, PanelKey>> next() OW_REQUIRES(mutex_);
  [[nodiscard]] Slot* slot_of(const PanelKey& key) OW_REQUIRES(mutex_);
  [[nodiscard]] std::size_t next_use(const PanelKey& key) const OW_REQUIRES(mutex_);

  const Load load_;
  mutable Mutex mutex_;
  Condition changed_;
  std::vector<Slot> slots_ OW_GUARDED_BY(mutex_);
  std::vector<PanelKey> upcoming_ OW_GUARDED_BY(mutex_);
  Status failed_ OW_GUARDED_BY(mutex_);
  std::uint64_t loads_ OW_GUARDED_BY(mutex_) = 0;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
