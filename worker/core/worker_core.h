// WorkerCore: the life cycle of a worker's seats, unit ranges and reports (ARCHITECTURE §3). Pure:
// time is an argument, nothing blocks, the same inputs give the same outputs. Not synchronised; one
// thread owns it.
//
// A seat:  offered → beginning → running → winding down → closing → ended (its report waits for an
// acknowledgement). It is funded for a duration from its begin. At the end of that less `stop_time`
// it winds down by itself, connected or not; shortly before the end it abandons what is still in
// work, so that everything is given back in time.
//
// A gang's seat is prepared first, then waits for the launch of all (worker/core/gang.cpp).
//
// Idempotent: an offer of a seat that is held or has ended, units that are held, acknowledgements
// and funds that are older than what is known change nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/core/input.h"
#include "worker/core/output.h"

namespace overwinter::worker {

struct WorkerCoreConfig {
  Incarnation incarnation;
  Generation generation;  // of the coordinator's store it last spoke to; none: 0
  std::uint32_t devices = 1;
  // Ended seats that are remembered beyond their acknowledged reports, to ignore late copies of
  // their offers.
  std::size_t ended_seats_kept = 4096;
};

class WorkerCore {
 public:
  explicit WorkerCore(WorkerCoreConfig config);

  // Appends to `out` what follows from `input` at `now`. `now` never goes back.
  void step(Moment now, const Input& input, std::vector<Output>& out);
  // When TimerFired is due; none: only an input changes anything.
  [[nodiscard]] std::optional<Moment> next_wakeup() const;

  [[nodiscard]] std::size_t seats() const { return seats_.size(); }
  [[nodiscard]] std::size_t reports_waiting() const { return reports_.size(); }
  [[nodiscard]] bool welcomed() const { return link_ == Link::kWelcomed; }
  [[nodiscard]] Generation generation() const { return config_.generation; }
  // Of a held seat at `now`; none when it is not held.
  [[nodiscard]] std::optional<SeatStatus> status(const SeatKey& seat, Moment now) const;

 private:
  enum class Link : std::uint8_t { kDown, kGreeting, kWelcomed };
  enum class Phase : std::uint8_t { kBeginning, kRunning, kWindingDown, kClosing };
  struct Seat {
    Phase phase = Phase::kBeginning;
    bool ready = false;   // it has answered BeginSeat
    bool silent = false;  // dropped by the coordinator: nothing is reported of it
    Moment began;
    Duration funded_for{0};
    Duration stop_time{0};
    std::uint32_t pipeline_units = 0;
    UnitRanges held;     // handed out, neither done nor given back
    UnitRanges waiting;  // of held: not started
    UnitRanges working;  // started and not answered, reclaimed ones too
    SeatEnd end = SeatEnd::kFinished;
    std::string message;
    Moment abandon_at;       // while winding down
    bool abandoned = false;  // everything in work was given up
    GangPhase gang = GangPhase::kNone;
    bool exited = false;  // of a gang: what was launched is over
    SeatExit exit;
    std::uint64_t step = 0;
    std::uint64_t activity = 0;
    std::uint64_t memory_peak_bytes = 0;
    std::uint64_t memory_used_bytes = 0;
  };
  using Outputs = std::vector<Output>;

  // ---- from_coordinator.cpp
  void on(Moment now, const OfferSeat& input, Outputs& out);
  void on(Moment now, const FundSeat& input, Outputs& out);
  void on(Moment now, const HandOutUnits& input, Outputs& out);
  void on(Moment now, const ReclaimUnits& input, Outputs& out);
  void on(Moment now, const StopSeat& input, Outputs& out);
  void on(Moment now, const Acknowledge& input, Outputs& out);
  void on(Moment now, const Welcome& input, Outputs& out);

  // ---- from_executors.cpp
  void on(Moment now, const SeatReady& input, Outputs& out);
  void on(Moment now, const SeatRefused& input, Outputs& out);
  void on(Moment now, const UnitsDelivered& input, Outputs& out);
  void on(Moment now, const UnitsCompleted& input, Outputs& out);
  void on(Moment now, const UnitsFailed& input, Outputs& out);
  void on(Moment now, const UnitsAbandoned& input, Outputs& out);
  void on(Moment now, const SeatFailed& input, Outputs& out);
  void on(Moment now, const SeatMeasured& input, Outputs& out);
  void on(Moment now, const SeatClosed& input, Outputs& out);
  void answered(const SeatKey& key, const UnitRanges& units, bool done, Outputs& out);

  // ---- gang.cpp
  void on(Moment now, const LaunchGang& input, Outputs& out);
  void on(Moment now, const GangSeatUp& input, Outputs& out);
  void on(Moment now, const GangSeatExited& input, Outputs& out);
  void on(Moment now, const GangLaunchFailed& input, Outputs& out);
  void on(Moment now, const SeatProgressed& input, Outputs& out);
  [[nodiscard]] static bool works(const Seat& seat);

  // ---- worker_core.cpp
  void on(Moment now, const StreamConnected& input, Outputs& out);
  void on(Moment now, const StreamLost& input, Outputs& out);
  void on(Moment now, const TimerFired& input, Outputs& out);
  void on(Moment now, const ShutDown& input, Outputs& out);
  [[nodiscard]] Seat* find(const SeatKey& key);
  [[nodiscard]] static Duration used(const Seat& seat, Moment now);
  [[nodiscard]] static SeatStatus status_of(const SeatKey& key, const Seat& seat, Moment now,
                                            bool with_held);
  [[nodiscard]] std::vector<SeatStatus> statuses(Moment now, bool with_held) const;
  [[nodiscard]] static Moment deadline(const Seat& seat);
  void start_units(const SeatKey& key, Seat& seat, Outputs& out);
  void wind_down(Moment now, const SeatKey& key, Seat& seat, SeatEnd end, std::string message,
                 Moment until, Outputs& out);
  void abandon_work(const SeatKey& key, Seat& seat, Outputs& out);
  void close_when_idle(const SeatKey& key, Seat& seat, Outputs& out);
  void report(decltype(SendReport::report) what, Outputs& out);
  void ended(const SeatKey& key);
  void acknowledge(std::uint64_t number);
  void check_deadlines(Moment now, Outputs& out);
  void check_shut_down(Moment now, Outputs& out);

  WorkerCoreConfig config_;
  Link link_ = Link::kDown;
  std::map<SeatKey, Seat> seats_;
  std::set<SeatKey> ended_;
  std::deque<SeatKey> ended_order_;  // oldest first
  std::deque<SendReport> reports_;   // not acknowledged, in order
  std::uint64_t last_report_ = 0;
  Duration heartbeat_every_{1000};
  Moment next_heartbeat_;
  std::optional<Moment> shut_down_by_;
  bool shut_down_said_ = false;
};

}  // namespace overwinter::worker
