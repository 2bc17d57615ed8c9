// A worker daemon around the real worker core: its connection, its executors, its clock. What it
// really does (memory held, time used) is the truth that bills and budgets are held against.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "coordinator/core/effect.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/virtual_time.h"
#include "worker/core/worker_core.h"

namespace overwinter::simulation {

// Where a worker's words go. `epoch` names the stream.
class WorkerPort {
 public:
  virtual ~WorkerPort() = default;
  virtual void hello(std::size_t worker, std::uint64_t epoch, core::WorkerHello event) = 0;
  virtual void say(std::size_t worker, std::uint64_t epoch, core::Event event) = 0;
  // A tile on its way: answered by tile_answered some time, or by tile_lost when the coordinator is
  // away; then the worker tries again.
  virtual void put_tile(std::size_t worker, Incarnation from, SeatKey seat, UnitNumber unit,
                        bool wrong) = 0;
  virtual void try_connect(std::size_t worker) = 0;
  virtual void gang_launched(std::size_t worker, Incarnation from, const worker::LaunchGang& order,
                             std::uint64_t from_step) = 0;
  virtual void gang_stop(SeatKey seat) = 0;
  virtual void gang_kill(SeatKey seat) = 0;
  virtual void daemon_gone(std::size_t worker, Incarnation incarnation) = 0;
};

class WorkerModel {
 public:
  WorkerModel(VirtualTime& time, Random& random, const WorkerPlan& plan, std::size_t index,
              WorkerPort& port);

  void set_id(WorkerId id) { id_ = id; }
  [[nodiscard]] WorkerId id() const { return id_; }
  [[nodiscard]] const WorkerPlan& plan() const { return plan_; }
  [[nodiscard]] Incarnation incarnation() const { return Incarnation(incarnation_); }
  [[nodiscard]] bool alive() const { return core_ != nullptr; }
  [[nodiscard]] bool frozen() const { return frozen_; }

  void start();  // a new incarnation
  void crash();
  enum class Verdict : std::uint8_t { kDelivered, kRejected };
  void tile_answered(Incarnation from, SeatKey seat, UnitNumber unit, Verdict verdict);
  void tile_lost(Incarnation from, SeatKey seat, UnitNumber unit);
  // What its ranks do.
  void tell(Incarnation to, const worker::Input& what);
  // As its core says; kNone: not held.
  [[nodiscard]] GangPhase phase(SeatKey seat) const;
  void freeze(Ms until);  // it does nothing until then; its clock goes on
  // What it holds and said last: of one that crashes now, the words of its ghost.
  struct Words {
    WorkerId id;
    Incarnation incarnation;
    MachineInfo machine;
    std::vector<core::SeatStatus> seats;
    std::uint64_t last_report = 0;
  };
  [[nodiscard]] Words words() const;
  void retire() {
    retired_ = true;
    crash();
  }

  void connected(std::uint64_t epoch);
  void disconnected(std::uint64_t epoch);
  void receive(std::uint64_t epoch, const core::Effect& effect);
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  void set_unit_ms(JobId job, std::int64_t ms) { unit_ms_[job] = ms; }

 private:
  struct Work {
    worker::OfferSeat offer;
    bool ready = false;
    UnitRanges computing;
    UnitRanges delivering;
    Ms offered_at = 0;
    Duration funded_for{0};  // the most that it was told
    Ms hangs_until = 0;      // it does not end before
    bool late = false;       // it hung, waited for one that does, or its process stood still
  };
  void feed(const worker::Input& input);
  void act(const worker::Output& output);
  void begin(const worker::OfferSeat& offer);
  void close(SeatKey seat);
  void give_up(SeatKey seat);
  void funded(SeatKey seat, Duration funded_for);
  void compute(SeatKey seat, UnitNumber unit);
  void deliver(SeatKey seat, UnitNumber unit);
  [[nodiscard]] bool delivering(SeatKey seat, UnitNumber unit) const;
  template <class Action>
  void later(Ms delay, Action action);
  void arm();
  [[nodiscard]] worker::Moment moment() const {
    return worker::Moment(Duration(time_.now() + 1'000'000));
  }

  VirtualTime& time_;
  Random& random_;
  WorkerPlan plan_;
  std::size_t index_;
  WorkerPort& port_;
  WorkerId id_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t epoch_ = 0;  // 0: not connected
  std::unique_ptr<worker::WorkerCore> core_;
  std::map<SeatKey, Work> work_;
  std::vector<std::uint64_t> memory_held_;
  std::vector<worker::OfferSeat> waiting_;  // for memory of seats that are still closing
  std::uint64_t last_report_ = 0;
  std::deque<std::function<void()>> held_up_;  // while frozen
  std::map<JobId, std::int64_t> unit_ms_;
  std::map<JobId, Landing> landing_;
  std::optional<worker::Moment> armed_;
  bool frozen_ = false;
  bool retired_ = false;
};

}  // namespace overwinter::simulation
