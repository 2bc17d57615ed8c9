// Daemons of machines, reduced to their words: they begin seats, do a unit at a time and end as
// told. Orders come from the loop's thread, the rest happens when the test says so.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/ports.h"
#include "tests/support/core_builders.h"

namespace overwinter::test {

class Daemons final : public runtime::WorkerLink {
 public:
  void launch(const core::LaunchGang&) override {}
  void order(const core::Effect& effect) override;
  void flush() override {}
  void end_principal(const core::EndPrincipal&) override {}

  // A new process of this worker says Hello.
  void connect(WorkerId worker, const core::test::WorkerBuilder& builder,
               runtime::EventQueue& queue);
  // Each seat has run for `passed` more and takes its next step; each daemon says that it lives.
  // What they say, in its order.
  [[nodiscard]] std::vector<core::Event> work(Duration passed);
  // Orders so far: unchanged between two looks means that nothing is on its way.
  [[nodiscard]] std::size_t orders() const;

 private:
  struct Held {
    bool began = false;
    bool stopping = false;
    Duration used{0};
    UnitRanges units;
  };
  struct Daemon {
    std::uint64_t reports = 0;
    std::map<SeatKey, Held> seats;
  };
  void offer(const core::OfferSeat& offer) OW_REQUIRES(mutex_);
  static std::optional<core::Report> next(SeatKey seat, Held& held);

  mutable Mutex mutex_;
  std::map<WorkerId, Daemon> daemons_ OW_GUARDED_BY(mutex_);
  std::size_t orders_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::test
