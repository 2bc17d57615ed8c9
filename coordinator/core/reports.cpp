// What workers report, in order and once: processed here, acknowledged after the commit.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

const Seat* Engine::seat_of(SeatKey key, WorkerId worker) const {
  const Seat* seat = state_.find_seat(key);
  return seat != nullptr && seat->worker == worker ? seat : nullptr;
}

void Engine::on(const WorkerReported& event) {
  const Worker* from = state_.find_worker(event.worker);
  if (from == nullptr || from->state == WorkerState::kRemoved) return;
  if (from->incarnation != event.incarnation && !planted(Bug::kIncarnationCheckDropped)) return;
  const std::uint64_t processed = from->reports_processed;
  if (event.number > processed + 1)
    return;  // a gap: the worker sends again from the first that is missing
  sign_of_life(event.worker);
  if (event.number == processed + 1 || planted(Bug::kOldReportProcessedAgain)) {
    std::visit([&](const auto& r) { report(event.worker, r); }, event.report);
    emit(ReportsProcessed{event.worker, event.incarnation, event.number});
  }
  const std::uint64_t number = worker(event.worker).reports_processed;
  effect(AcknowledgeReports{event.worker, event.incarnation, number});
  WorkerSoft& soft = soft_.workers[event.worker];
  if (number < soft.hello_last_report || soft.offer_after_reports.empty()) return;
  // Its old reports are in: a seat that it did not speak of was never offered.
  for (const SeatKey key : std::exchange(soft.offer_after_reports, {})) {
    if (const Seat* seat = seat_of(key, event.worker)) offer_again(*seat);
  }
}

void Engine::report(WorkerId worker, const SeatBegan& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr) return;
  SeatSoft& soft = seat_soft(report.seat);
  if (!soft.began) {
    soft.began = true;
    soft.began_at = now_;
  }
  if (job(report.seat.job).gang()) {
    soft.phase = GangPhase::kUp;
    job_soft(job(report.seat.job)).active_at = now_;
    touch(report.seat.job);
    advance_gang(report.seat.job);
    return;
  }
  if (job(report.seat.job).state == JobState::kStarting) {
    set_state(report.seat.job, JobState::kRunning, Cause::kNone, "running");
  }
  touch(report.seat.job);
  refill(report.seat);
}

void Engine::report(WorkerId worker, const SeatEnded& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr) return;
  // Clipped to what was funded and to the time that passed: a worker's clock may be wrong.
  Duration used = std::clamp(report.used, Duration(0), now_ - seat->granted_at);
  if (!planted(Bug::kUsedBeyondFunding)) used = std::min(used, seat->funded_for);
  if (planted(Bug::kUsedBeyondFunding)) used = seat->funded_for + Duration(1000);
  // Its last word, for a slice that is still to be cut before the last.
  SeatSoft& soft = seat_soft(report.seat);
  if (!soft.known) --soft_.jobs[report.seat.job].unresolved;
  soft.known = true;
  soft.used = used;
  soft.said_at = now_;
  const bool gang = job(report.seat.job).gang();
  release(report.seat, report.end, used, now_, report.memory_peak_bytes, report.message,
          report.exit);
  if (report.end == SeatEnd::kLeaving) {
    soft_.workers[worker].leaving = true;
    update_slots(worker);
  }
  if (!gang && (report.end == SeatEnd::kFailed || report.end == SeatEnd::kRefused)) {
    count_failure(report.seat.job, report.seat, worker, report.message);
  }
  after_release(report.seat.job, worker);
}

void Engine::report(WorkerId worker, const UnitsReported& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr || job(report.seat.job).demand.landing != Landing::kReport) return;
  units_done(*seat, report.units);
}

void Engine::report(WorkerId worker, const UnitsFailed& report) {
  const Seat* seat = seat_of(report.seat, worker);
  if (seat == nullptr) return;
  const Job& of = job(report.seat.job);
  SeatSoft& soft = seat_soft(report.seat);
  const UnitRanges held = soft.out.intersection(report.units);
  soft.out.remove(held);
  take_back(of, report.seat.number, held);
  stop_seat(report.seat, Cause::kFailure);  // another worker tries
  count_failure(report.seat.job, report.seat, worker, report.message);
  if (job(report.seat.job).terminal()) return;
  update_waiting(report.seat.job);
  eager_.insert(report.seat.job);
  refill_all(report.seat.job);
}

}  // namespace overwinter::core
