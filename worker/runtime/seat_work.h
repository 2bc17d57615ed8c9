// SeatWork: what a seat does, by kind of workload. Made, started and ended by the WorkerLoop.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "worker/core/input.h"
#include "worker/runtime/device.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

// Calls come from the loop's thread and return at once; answers go by PostInput. The destructor
// frees everything and may take some dozen milliseconds: it runs on the device's executor. Every
// started unit is answered once.
class SeatWork {
 public:
  virtual ~SeatWork() = default;
  // Units it wants to have started at once.
  [[nodiscard]] virtual std::uint32_t pipeline_units() const = 0;
  virtual void start(const UnitRanges& units) = 0;
  virtual void abandon(const UnitRanges& units) = 0;
  // Begins nothing more; gives up what will not be done within that time.
  virtual void wind_down(Duration within) = 0;
  virtual void renew(const std::string& capability) = 0;
  [[nodiscard]] virtual std::uint64_t memory_used_bytes() const = 0;  // now
  [[nodiscard]] virtual std::uint64_t memory_peak_bytes() const = 0;
};

// From the offer's plan, on the device's executor. The status says why a seat cannot begin: a plan
// that makes no sense, an unknown workload, memory (asked, held, allowed), inputs that cannot be
// opened.
[[nodiscard]] Result<std::unique_ptr<SeatWork>> make_seat_work(const OfferSeat& offer,
                                                               Device& device,
                                                               ArtifactAccess& artifacts,
                                                               PostInput post);

}  // namespace overwinter::worker
