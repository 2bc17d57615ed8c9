// ProgramGpus: the GPUs of one attempt on this worker: what its processes are told of them and let
// at, and that they keep to the memory of their seats.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "worker/exec/keeper_protocol.h"
#include "worker/gpus/gpu_count.h"
#include "worker/programs/program_site.h"
#include "worker/runtime/gang_work.h"

namespace overwinter::worker {

// What a seat's processes may use of the machine's memory: on a processor the seat's own, on a GPU
// what of the machine goes with the GPU (the seat's memory is the GPU's).
[[nodiscard]] std::uint64_t host_memory_of(const ProgramSite& site, const RankSeat& seat);

class ProgramGpus {
 public:
  // Of a seat whose processes use more than it has: one sentence with the numbers.
  struct Over {
    std::uint32_t rank = 0;
    std::string message;
  };

  // `seats`: all of the attempt on this worker, in the order of their ranks. Made before anything
  // of it runs: what is used of its GPUs now is not its own. The site outlives it.
  ProgramGpus(const ProgramSite& site, const std::vector<RankSeat>& seats);
  ~ProgramGpus() { end(); }
  ProgramGpus(const ProgramGpus&) = delete;
  ProgramGpus& operator=(const ProgramGpus&) = delete;

  // In the order of the ranks; empty: it has none.
  [[nodiscard]] std::vector<std::string> uuids() const;
  // Lets the processes of a tree at the GPUs.
  void admit(exec::TreeOrder& order) const;

  // Begins to look, several times a second, from a thread of its own, until end(): `processes` are
  // all of the attempt here. `over` is called at most once, and then nobody looks any more.
  void watch(std::function<std::vector<pid_t>()> processes, std::function<void(const Over&)> over);
  void end();

  // What was seen on the GPU of that rank's seat; nothing: its seat is on a processor.
  [[nodiscard]] std::optional<MemoryUse> use(std::uint32_t rank) const;

 private:
  struct Seat {
    std::uint32_t rank = 0;
    const ProgramDevice* device = nullptr;
    std::uint64_t limit_bytes = 0;
    std::uint64_t at_start = 0;
    MemoryUse use = {};
    std::optional<gpus::CountedBy> by = {};
    bool silent = false;  // its driver does not tell, and that was said
  };
  void run(const std::function<std::vector<pid_t>()>& processes,
           const std::function<void(const Over&)>& over);
  [[nodiscard]] std::optional<Over> look(const std::vector<pid_t>& tree);
  [[nodiscard]] std::optional<Over> look_at(Seat& seat, const std::vector<pid_t>& tree);

  const ProgramSite& site_;
  mutable Mutex mutex_;
  Condition changed_;
  bool ending_ OW_GUARDED_BY(mutex_) = false;
  std::vector<Seat> seats_ OW_GUARDED_BY(mutex_);  // those on GPUs
  std::jthread thread_;                            // last: it uses the rest
};

}  // namespace overwinter::worker
