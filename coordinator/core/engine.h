// Engine: the inside of the Scheduler. One method an event, in one file a family; each decides by
// emitting facts, which evolve the state at once. Indexes and timers here are derived from the
// state and made anew at every start. Private to this room.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/core/soft_state.h"
#include "coordinator/core/timers.h"
#include "coordinator/core/waiting_index.h"

namespace overwinter::core {

class Engine {
 public:
  Engine(SchedulerConfig config, ClusterState state);

  void step(Time now, const Event& event, Outcome& out);
  void replay(Time time, const Fact& fact) { evolve(state_, time, fact); }

  [[nodiscard]] const ClusterState& state() const { return state_; }
  [[nodiscard]] const SoftState& soft() const { return soft_; }
  [[nodiscard]] const SchedulerConfig& config() const { return config_; }

 private:
  // ---- scheduler.cpp: the step itself
  void emit(Fact fact);
  void effect(Effect effect);
  void touch(JobId job) { out_->jobs_touched.push_back(job); }
  void touch(WorkerId worker) { out_->workers_touched.push_back(worker); }
  void reply(ReplyId to, Status status);

  // ---- start.cpp
  void on(const CoordinatorStarted& event);
  void on(const TimerFired& event);
  void on(const LoopStalled& event);
  void rebuild();
  void derive_job_effects(const Job& job);
  void fire(const TimerSet::Key& key);

  // ---- generation.cpp
  void on(const UseKeptRequested& event);
  void on(const BackupRestored& event);
  [[nodiscard]] std::uint64_t fresh_id(std::uint64_t next) const;
  [[nodiscard]] AttemptNumber fresh_attempt(const Job& job) const;

  // ---- jobs.cpp
  void on(const JobSubmitted& event);
  void on(const JobReplanned& event);
  void on(const JobActionRequested& event);
  void on(const JobUpdateRequested& event);
  [[nodiscard]] Status check_submission(const JobSubmitted& event, const Alternative& chosen);
  [[nodiscard]] std::string unique_name(const std::string& slug, const std::string& project,
                                        JobId id) const;
  [[nodiscard]] std::size_t choose(const std::vector<Alternative>& alternatives,
                                   const std::string& project);
  [[nodiscard]] Status refuse_action(const Job& job, JobAction action);
  [[nodiscard]] Status refuse_update(const Job& job, const JobUpdateRequested& event) const;
  void pause(const Job& job, std::uint64_t actor);
  void resume(const Job& job, std::uint64_t actor);
  void cancel(const Job& job, std::uint64_t actor);

  // ---- job_states.cpp
  void set_state(JobId id, JobState state, Cause cause, std::string reason, std::uint64_t actor = 0,
                 AttemptNumber attempt = 0);
  void stop_job(JobId id, Cause cause, std::string reason, std::uint64_t actor);
  void settle(JobId id);  // a stopping job without seats reaches its end
  void finish(JobId id);  // all units are done
  void count_failure(JobId id, SeatKey seat, WorkerId worker, std::string message);
  void time_limit_due(JobId id);
  void forget_due(JobId id);
  void ended(const Job& job);

  // ---- seats.cpp
  void grant(const Job& job, WorkerId worker, DeviceIndex device, Duration funded_for);
  [[nodiscard]] OfferSeat offer_of(const Job& job, const Seat& seat) const;
  void stop_seat(SeatKey key, Cause cause, bool at_once = false);
  void release(SeatKey key, SeatEnd end, Duration used, Time to, std::uint64_t peak,
               std::string message, const SeatExit& exit = {});
  void release_lost(SeatKey key, std::string message);
  void after_release(JobId job, WorkerId worker);
  void stop_due(SeatKey key);
  void fence(SeatKey key, std::string why);
  SeatSoft& seat_soft(SeatKey key);
  void progressed(SeatKey key);  // it told of a step, a unit or output
  [[nodiscard]] const SeatSoft* find_soft(SeatKey key) const;

  // ---- placement.cpp
  void place();  // at the end of each step: what became free meets what waits
  bool try_place(JobId id);
  bool place_on(JobId id, WorkerId worker, DeviceIndex device);
  void note_unfunded(const Job& job, bool unfunded);
  void fill(WorkerId worker, DeviceIndex device);
  [[nodiscard]] bool open_to_avoided(const Job& job) const;
  void avoid(const Job& job, WorkerId worker);
  [[nodiscard]] bool holds_enough(const Job& job) const;
  void let_go(JobId id);
  void start_attempt(JobId id);
  void update_waiting(JobId id);
  void update_slots(WorkerId id);
  [[nodiscard]] policy::Candidate candidate(const Worker& worker, DeviceIndex device) const;
  [[nodiscard]] policy::Candidate candidate_for(const Job& job, const Worker& worker,
                                                DeviceIndex device) const;
  struct Eligible {
    bool exists = false;
    ledger::Charge per_ms;  // the cheapest
    std::uint64_t epoch = 0;
  };
  [[nodiscard]] const Eligible& eligible(const Demand& demand, const std::string& project);
  void workers_changed(WorkerId id);

  // ---- units.cpp
  void on(const UnitsLanded& event);
  void on(const UnitRejected& event);
  void on(const ResultRefused& event);
  void units_done(const Seat& seat, const UnitRanges& units);
  void refill(SeatKey key);
  void refill_all(JobId id);
  bool hand_out_rest(const Job& job, const Seat& seat, SeatSoft& soft);
  void hand_out(const Seat& seat, SeatSoft& soft, UnitRanges units);
  void take_back(const Job& job, std::uint32_t number, const UnitRanges& units);
  JobSoft& job_soft(const Job& job);
  [[nodiscard]] bool hands_out(const Job& job) const;

  // ---- gang.cpp
  void on(const CheckpointStored& event);
  void report(WorkerId worker, const SeatPrepared& report);
  void report(WorkerId worker, const LaunchFailed& report);
  bool try_place_gang(JobId id);
  void mark_taken(const Job& job, std::vector<policy::Candidate>& candidates) const;
  [[nodiscard]] std::optional<Duration> gang_funding(const Job& job,
                                                     const std::vector<policy::Score>& seats) const;
  void advance_gang(JobId id);
  void launch(const Job& of);
  void start_due(JobId id);
  void arm_stall(const Job& of);
  void stall_due(JobId id);
  [[nodiscard]] static std::string from_where(const Job& job);  // "step 30", "the start"

  // ---- gang_end.cpp
  void break_attempt(JobId id, Cause cause);
  void gang_seat_ends(SeatKey key, SeatEnd end);
  [[nodiscard]] bool ends_at_once(const Seat& stopping) const;
  void gang_attempt_over(JobId id);
  [[nodiscard]] ledger::Charge wasted_by(const Job& of, const Seat& seat,
                                         ledger::Charge waited) const;

  // ---- worker_joining.cpp
  void on(const WorkerJoinRequested& event);
  Status check_join(const JoinFile* file, const WorkerJoinRequested& event) const;

  // ---- worker_hello.cpp
  void on(const WorkerHello& event);
  void on(const WorkerHeartbeat& event);
  std::optional<Status> refusal(const WorkerHello& event, const Worker* worker) const;
  void returned(WorkerId id);
  void hear(WorkerId worker, const SeatStatus& status);
  void welcome(const WorkerHello& event, std::vector<SeatKey> drop);
  void resync(const Seat& seat, const UnitRanges& held);
  void settle_unsaid(const std::vector<SeatKey>& missing, bool reports_in, std::set<JobId>& jobs);
  void offer_again(const Seat& seat);

  // ---- workers.cpp
  void on(const WorkerDisconnected& event);
  void set_worker(WorkerId id, WorkerState state, std::string reason, std::uint64_t actor = 0,
                  bool removing = false);
  void sign_of_life(WorkerId id);
  void lost_due(WorkerId id);
  [[nodiscard]] Duration lost_after(const Worker& host) const;
  void lose_seats(WorkerId id, const std::string& why);

  // ---- worker_actions.cpp
  void on(const WorkerActionRequested& event);
  void drain(WorkerId id, std::string reason, std::uint64_t actor, bool removing);
  void remove_if_empty(WorkerId id);
  void resume_worker(const Worker& drained, const Principal& by);

  // ---- reports.cpp
  void on(const WorkerReported& event);
  void report(WorkerId worker, const SeatBegan& report);
  void report(WorkerId worker, const SeatEnded& report);
  void report(WorkerId worker, const UnitsReported& report);
  void report(WorkerId worker, const UnitsFailed& report);
  // The seat if it is held now by this incarnation of the worker.
  [[nodiscard]] const Seat* seat_of(SeatKey key, WorkerId worker) const;

  // ---- money.cpp
  void on(const PriceBookSetRequested& event);
  [[nodiscard]] std::optional<Duration> first_funding(const Job& job, Money price,
                                                      std::uint32_t share_ppm,
                                                      std::size_t seats) const;
  [[nodiscard]] std::optional<ledger::Charge> room(const Job& job) const;  // absent: no cap
  void fund_due(SeatKey key);
  bool renew(const Job& job, const Seat& seat, SeatSoft& soft);
  void arm_funding(const Job& job, const Seat& seat, const SeatSoft& soft);
  void out_of_budget(JobId id);
  [[nodiscard]] bool broke(const Job& job);                   // its cap funds no seat any more
  [[nodiscard]] Duration used_about(const Seat& seat) const;  // now, at the most
  [[nodiscard]] std::string budget_reason(const Job& job) const;
  [[nodiscard]] Duration used_so_far(const Seat& seat) const;
  void bill(const Seat& seat, Duration used_total, Time to);
  void cut_due(WorkerId id);
  void cut_if_due(WorkerId id);
  [[nodiscard]] Time next_cut_after(Time from) const;
  void cut_seat(SeatKey key, std::optional<Duration> final_use);
  void charge_machine(WorkerId id, Time to);
  void charge_minimum(WorkerId id);
  void reprice_seat(SeatKey key, bool ending);
  [[nodiscard]] Money price_now(const Worker& worker, DeviceIndex device) const;
  void arm_cut(WorkerId id);

  // ---- admin.cpp
  void on(const ProjectCreateRequested& event);
  void on(const TokenCreateRequested& event);
  void on(const TokenRevokeRequested& event);
  void on(const JoinFileCreateRequested& event);

  [[nodiscard]] const Job& job(JobId id) const { return state_.jobs.find(id)->second; }
  [[nodiscard]] const Worker& worker(WorkerId id) const { return state_.workers.find(id)->second; }

  SchedulerConfig config_;
  ClusterState state_;
  SoftState soft_;
  Outcome* out_ = nullptr;
  Time now_;

  TimerSet timers_;
  WaitingIndex waiting_;  // could be placed when something becomes free
  WaitingIndex unfit_;    // larger than every known worker
  std::map<WorkerId, std::vector<std::optional<policy::Score>>> slots_;
  std::set<policy::Score> open_;                      // devices with room, best first
  std::set<std::pair<WorkerId, DeviceIndex>> freed_;  // in this step
  std::set<JobId> eager_;                             // became placeable in this step
  std::vector<SeatKey> granted_;                      // in this step
  std::set<JobId> avoiding_;                          // jobs whose work failed on some worker
  std::map<std::pair<WorkerId, DeviceIndex>, JobId> kept_free_;  // for a job that waited long
  std::map<Shape, Eligible> eligible_;
  std::uint64_t epoch_ = 1;  // of eligible_
};

}  // namespace overwinter::core
