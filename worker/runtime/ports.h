// What the runtime needs from outside, implemented in worker/rpc and by tests.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "worker/core/output.h"
#include "worker/matmul/ports.h"

namespace overwinter::worker {

// The stream to the coordinator.
class CoordinatorLink {
 public:
  virtual ~CoordinatorLink() = default;
  // Messages (SendHello, SendHeartbeat, SendReport) in this order. Never blocks. Dropped when there
  // is no stream: the core sends again what matters.
  virtual void send(std::vector<Output> messages) = 0;
};

// What a seat of a product may read and write, under one capability.
struct SeatAccess {
  SeatKey seat;
  std::string capability;
  std::string a_digest;
  std::string b_digest;
  std::uint64_t element_bytes = 4;
  // Bytes of factors that may be mapped: the seat's memory less what it holds in any case.
  std::uint64_t in_place_bytes_max = 0;
};

class SeatArtifacts : public BlockSource, public TileSink {
 public:
  // Thread-safe: later calls use it.
  virtual void renew(const std::string& capability) = 0;
  // Whether tiles can leave now: a seat that is cut off keeps finished ones on disk and goes on.
  [[nodiscard]] virtual bool connected() const { return true; }
};

class ArtifactAccess {
 public:
  virtual ~ArtifactAccess() = default;
  // Thread-safe; may block for a moment (descriptors are asked for here).
  [[nodiscard]] virtual Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess& access) = 0;
  // Where finished tiles may wait on disk; empty: nowhere.
  [[nodiscard]] virtual std::filesystem::path spool_folder() const { return {}; }
};

// Blobs that a seat reads as files.
class JobFiles {
 public:
  virtual ~JobFiles() = default;
  // Whole, checked against its digest, as folder/name. Blocks; tried again while the coordinator
  // cannot be reached. CANCELLED after a stop; PERMISSION_DENIED: it is not the seat's to read.
  [[nodiscard]] virtual Status fetch(const std::function<std::string()>& capability,
                                     const Digest& digest, const std::filesystem::path& folder,
                                     const std::string& name, std::stop_token stop) = 0;
};

// What a job prints and measures, on its way to the coordinator. Never blocks: what there is no
// room for is dropped, oldest first, and counted. Thread-safe.
class JobLog {
 public:
  // In whose name it is told.
  struct Origin {
    SeatKey seat;
    std::string capability;
  };
  virtual ~JobLog() = default;
  virtual void line(const Origin& origin, std::uint32_t rank, bool error, std::string text) = 0;
  virtual void point(const Origin& origin, const std::string& metric, std::uint64_t step,
                     double value) = 0;
  // Blocks until what this seat's attempt has said is at the coordinator, but for no longer than
  // that: its last words are there before its end is told.
  virtual void flush(const SeatKey& seat, Duration within) = 0;
};

constexpr Duration kLastWordsWithin{1000};

// Values of the secrets that a job's programs get as variables.
class JobSecrets {
 public:
  virtual ~JobSecrets() = default;
  // Those that the job of this seat names. Blocks; tried again while the coordinator cannot be
  // reached. NOT_FOUND names the one that is missing; CANCELLED after a stop.
  [[nodiscard]] virtual Result<std::map<std::string, std::string>> read(
      const SeatKey& seat, const std::function<std::string()>& capability,
      std::stop_token stop) = 0;
};

// Where the files that an exec job made go to.
class JobOutputs {
 public:
  enum class Kind : std::uint8_t { kOutputs = 1, kWorkdir = 2 };
  virtual ~JobOutputs() = default;
  struct Order {
    SeatKey seat;
    std::function<std::string()> capability;
    Kind kind = Kind::kOutputs;
    std::filesystem::path archive;               // common/formats/archive.h
    std::function<void(const Status&)> no_room;  // told once, if the coordinator is full
  };
  // After success it is durable. Blocks; tried again while the coordinator cannot be reached or is
  // full. CANCELLED after a stop.
  [[nodiscard]] virtual Status put(const Order& order, std::stop_token stop) = 0;
};

// How an executor answers. Thread-safe, never blocks.
using PostInput = std::function<void(Input)>;

}  // namespace overwinter::worker
