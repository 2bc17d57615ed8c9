// TileSink: the order in which a tile becomes a done unit: held in bounded memory, verified,
// written, synced with others, and only then reported. The report is the only thing that makes a
// unit done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/domain/ids.h"
#include "common/plan/tile_grid.h"
#include "coordinator/artifacts/result_store.h"

namespace overwinter::artifacts {

struct TileVerdict {
  bool accepted = false;
  std::string reason;  // when not accepted: one sentence with the numbers
};

// Says whether a tile is the product it claims to be. Thread-safe. An error means that it could not
// tell: the tile is not taken, and nobody is blamed.
class TileVerifier {
 public:
  virtual ~TileVerifier() = default;
  [[nodiscard]] virtual Result<TileVerdict> verify(JobId job, UnitNumber unit,
                                                   const plan::Tile& tile,
                                                   std::span<const std::byte> data) = 0;
};

// One tile on its way: which unit, from which seat of which worker. The job is the seat's.
struct Delivery {
  SeatKey seat;
  WorkerId worker;
  UnitNumber unit = 0;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};

enum class TileOutcome : std::uint8_t {
  kLanded = 1,    // durable; counts
  kRepeated = 2,  // the unit was done already
  kRejected = 3,  // failed its check
  kStale = 4,     // the job's result is no longer wanted
};
struct TileAnswer {
  TileOutcome outcome = TileOutcome::kLanded;
  std::string message;
};

class TileSink;

// Memory for one tile, counted against the sink's budget until it is destroyed. Filled by one
// thread at a time.
class TileBuffer {
 public:
  TileBuffer(TileBuffer&& other) noexcept;
  TileBuffer& operator=(TileBuffer&& other) noexcept;
  ~TileBuffer();

  // kInvalidArgument beyond the tile's size.
  [[nodiscard]] Status append(std::span<const std::byte> data);
  [[nodiscard]] bool full() const { return filled_ == size_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_; }
  [[nodiscard]] std::span<const std::byte> data() const { return {memory_.get(), filled_}; }
  [[nodiscard]] const Delivery& delivery() const { return delivery_; }

 private:
  friend class TileSink;
  TileBuffer(TileSink* sink, const Delivery& delivery, std::size_t size);
  void release();

  TileSink* sink_;
  Delivery delivery_;
  std::size_t size_;
  std::size_t filled_ = 0;
  std::unique_ptr<std::byte[]> memory_;
};

struct TileSinkConfig {
  std::uint64_t memory_bytes_max = 256 * kMiB;  // a tile larger than this is refused
  std::uint32_t waiting_max = 4096;             // tiles that wait for room
};

// Thread-safe. begin() never blocks; land() and flush() wait for the disk and the processor.
class TileSink {
 public:
  using LandedFn = std::function<void(const std::vector<Delivery>&)>;
  using BeginFn = std::function<void(Result<TileBuffer>)>;
  using DoneFn = std::function<void(Result<TileAnswer>)>;

  // `on_landed` gets deliveries whose units are durable; no lock is held, and it must only pass
  // them on. A unit that is delivered again is reported again (by begin() or land()), under the
  // seat that delivered it: who ignored the first report, because its seat was no longer valid,
  // learns of the unit all the same. Store and verifier outlive the sink; the sink outlives its
  // buffers.
  TileSink(ResultStore& store, TileVerifier& verifier, LandedFn on_landed,
           const TileSinkConfig& config);
  ~TileSink();

  // Asks for memory for a tile. `begin` is called once: at once when there is room, else later,
  // first come first served, by the thread that gives memory back; it must only pass the buffer on.
  // Errors: kInvalidArgument (not the unit's size), kOutOfRange (no such unit), kNotFound (the
  // job's result is not wanted), kAlreadyExists (landed already: nothing needs to be sent),
  // kResourceExhausted (tile larger than the budget, or too many wait).
  void begin(const Delivery& delivery, std::uint64_t size_bytes, BeginFn begin);

  // Verifies and writes a full tile. `done` is called once: here when the tile was refused or the
  // unit is done already, else by the flush() that makes it durable, after on_landed.
  void land(TileBuffer tile, DoneFn done);
  // True while tiles wait for a flush().
  [[nodiscard]] bool flush_needed() const { return store_.waiting() != 0; }
  // Makes durable what was written, reports it, and answers. After an error (kDataLoss) the process
  // ends.
  [[nodiscard]] Status flush();

  [[nodiscard]] std::uint64_t memory_bytes_held() const;

 private:
  friend class TileBuffer;
  struct Waiting {
    Delivery delivery;
    std::size_t size;
    BeginFn begin;
  };
  struct Unanswered {
    Delivery delivery;
    DoneFn done;
  };
  [[nodiscard]] Status admit(const Delivery& delivery, std::uint64_t size_bytes) const;
  void give_back(std::size_t size);
  void write(const Delivery& delivery, std::span<const std::byte> data, DoneFn done);
  static void refuse(const Status& status, const DoneFn& done);
  [[nodiscard]] Unanswered take_unanswered(std::uint64_t tag);

  ResultStore& store_;
  TileVerifier& verifier_;
  const LandedFn on_landed_;
  const TileSinkConfig config_;

  mutable Mutex mutex_;
  std::uint64_t held_ OW_GUARDED_BY(mutex_) = 0;
  bool serving_ OW_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> queue_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_tag_ OW_GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, Unanswered> unanswered_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::artifacts
