#include <limits>

#include "coordinator/wire/codec_parts.h"
#include "coordinator/wire/fact_codec.h"
#include "overwinter/v1/fact.pb.h"

namespace overwinter::wire {
namespace {

using namespace codec;

// ---- one function a fact ------------------------------------------------------------------------

core::Fact get(const v1::Fact::ClusterCreated& in, Check&) {
  return core::ClusterCreated{in.cluster(), in.seed()};
}

core::Fact get(const v1::Fact::ClusterRestored& in, Check&) {
  return core::ClusterRestored{{in.generation(), in.id(), in.backup_turn(),
                                time_from_unix_ms(in.backup_ms()),
                                time_from_unix_ms(in.restored_ms())}};
}

core::Fact get(const v1::Fact::ProjectCreated& in, Check&) {
  return core::ProjectCreated{in.project(), in.actor()};
}

core::Fact get(const v1::Fact::PriceBookChanged& in, Check&) {
  return core::PriceBookChanged{price_book(in.book()), in.source(), in.actor()};
}

core::Fact get(const v1::Fact::TokenCreated& in, Check& check) {
  core::TokenCreated out;
  out.id = TokenId(in.id());
  out.hash = digest(in.hash(), "hash", check);
  out.role = enumeration(in.role(), Role::kNone, Role::kAdmin, "role", check);
  out.project = in.project();
  out.name = in.name();
  if (in.has_expires_ms()) out.expires = time_from_unix_ms(in.expires_ms());
  out.actor = in.actor();
  return out;
}

core::Fact get(const v1::Fact::TokenRevoked& in, Check&) {
  return core::TokenRevoked{TokenId(in.id()), in.actor()};
}

core::Fact get(const v1::Fact::JoinFileCreated& in, Check&) {
  core::JoinFileCreated out;
  out.id = JoinFileId(in.id());
  out.uses = in.uses();
  out.expires = time_from_unix_ms(in.expires_ms());
  out.name = in.name();
  out.projects.assign(in.projects().begin(), in.projects().end());
  out.may_set_price = in.may_set_price();
  out.actor = in.actor();
  return out;
}

core::Fact get(const v1::Fact::JoinFileRevoked& in, Check&) {
  return core::JoinFileRevoked{JoinFileId(in.id()), in.actor()};
}

core::Fact get(const v1::Fact::WorkerRegistered& in, Check& check) {
  core::WorkerRegistered out;
  out.worker = WorkerId(in.worker());
  out.join_file = JoinFileId(in.join_file());
  out.name = in.name();
  out.labels = labels(in.labels());
  out.projects.assign(in.projects().begin(), in.projects().end());
  out.spot = in.spot();
  if (in.has_price_per_hour_micros()) out.price_per_hour = Money{in.price_per_hour_micros()};
  out.public_key = digest(in.public_key(), "public_key", check);
  return out;
}

core::Fact get(const v1::Fact::WorkerConnected& in, Check&) {
  core::WorkerConnected out;
  out.worker = WorkerId(in.worker());
  out.incarnation = Incarnation(in.incarnation());
  out.machine = machine(in.machine());
  return out;
}

core::Fact get(const v1::Fact::WorkerStateChanged& in, Check& check) {
  return core::WorkerStateChanged{WorkerId(in.worker()),
                                  enumeration(in.state(), core::WorkerState::kJoined,
                                              core::WorkerState::kRemoved, "state", check),
                                  in.reason(), in.actor(), in.removing()};
}

core::Fact get(const v1::Fact::ReportsProcessed& in, Check&) {
  return core::ReportsProcessed{WorkerId(in.worker()), Incarnation(in.incarnation()), in.number()};
}

core::Fact get(const v1::Fact::JobAccepted& in, Check& check) {
  core::JobAccepted out;
  out.job = JobId(in.job());
  out.project = in.project();
  out.name = in.name();
  out.display_name = in.display_name();
  out.labels = labels(in.labels());
  out.request_id = in.request_id();
  if (in.has_spec()) out.spec = shared(in.spec());
  out.demand = demand(in.demand(), check);
  if (in.has_plan()) out.plan = shared(in.plan());
  out.actor = in.actor();
  return out;
}

core::Fact get(const v1::Fact::JobDemandChanged& in, Check& check) {
  core::JobDemandChanged out;
  out.job = JobId(in.job());
  out.demand = demand(in.demand(), check);
  if (in.has_plan()) out.plan = shared(in.plan());
  return out;
}

core::Fact get(const v1::Fact::JobStateChanged& in, Check& check) {
  return core::JobStateChanged{
      JobId(in.job()),
      enumeration(in.state(), core::JobState::kQueued, core::JobState::kCancelled, "state", check),
      cause(in.cause(), check),
      in.attempt(),
      in.reason(),
      in.actor()};
}

core::Fact get(const v1::Fact::JobUpdated& in, Check& check) {
  core::JobUpdated out;
  out.job = JobId(in.job());
  if (in.has_cap_micros()) out.cap = Money{in.cap_micros()};
  if (in.has_priority()) out.priority = priority(in.priority(), check);
  out.actor = in.actor();
  return out;
}

core::Fact get(const v1::Fact::UnitsDone& in, Check& check) {
  return core::UnitsDone{JobId(in.job()), units(in.units(), check), seat(in.seat())};
}

core::Fact get(const v1::Fact::UnitsFailedCounted& in, Check&) {
  return core::UnitsFailedCounted{JobId(in.job()), seat(in.seat()), in.message()};
}

core::Fact get(const v1::Fact::JobForgotten& in, Check&) {
  return core::JobForgotten{JobId(in.job())};
}

core::Fact get(const v1::Fact::SeatGranted& in, Check&) {
  core::SeatGranted out;
  out.seat = seat(in.seat());
  out.worker = WorkerId(in.worker());
  out.incarnation = Incarnation(in.incarnation());
  out.device = in.device();
  out.memory_bytes = in.memory_bytes();
  out.threads = in.threads();
  out.share_ppm = in.share_ppm();
  out.device_price_per_hour = Money{in.device_price_per_hour_micros()};
  out.funded_for = Duration(in.funded_for_ms());
  out.reserved = charge(in.reserved());
  return out;
}

core::Fact get(const v1::Fact::SeatFunded& in, Check&) {
  core::SeatFunded out;
  out.seat = seat(in.seat());
  out.funded_for = Duration(in.funded_for_ms());
  out.reserved = charge(in.reserved());
  if (in.has_device_price_per_hour_micros()) {
    out.device_price_per_hour = Money{in.device_price_per_hour_micros()};
  }
  return out;
}

core::Fact get(const v1::Fact::SeatStopping& in, Check& check) {
  return core::SeatStopping{seat(in.seat()), cause(in.cause(), check)};
}

core::Fact get(const v1::Fact::SeatReleased& in, Check& check) {
  return core::SeatReleased{
      seat(in.seat()), seat_end(in.end(), check), Duration(in.used_ms()), in.memory_peak_bytes(),
      in.message(),    seat_exit(in.exit()),      charge(in.wasted()),    charge(in.gang_wait())};
}

core::Fact get(const v1::Fact::CheckpointKept& in, Check&) {
  return core::CheckpointKept{JobId(in.job()), in.attempt(), in.step()};
}

core::Fact get(const v1::Fact::AttemptBroken& in, Check& check) {
  return core::AttemptBroken{JobId(in.job()), in.attempt(), cause(in.cause(), check)};
}

core::Fact get(const v1::Fact::AttemptEnded& in, Check& check) {
  core::AttemptEnded out;
  out.job = JobId(in.job());
  out.attempt = in.attempt();
  out.cause = cause(in.cause(), check);
  out.seat = in.seat();
  out.worker = WorkerId(in.worker());
  out.step = in.step();
  out.counts = in.counts();
  out.exit = seat_exit(in.exit());
  out.reason = in.reason();
  return out;
}

core::Fact get(const v1::Fact::UsageCharged& in, Check&) {
  return core::UsageCharged{seat(in.seat()),
                            time_from_unix_ms(in.from_ms()),
                            time_from_unix_ms(in.to_ms()),
                            Duration(in.used_ms()),
                            Money{in.device_price_per_hour_micros()},
                            charge(in.charge())};
}

core::Fact get(const v1::Fact::MachineCharged& in, Check&) {
  return core::MachineCharged{WorkerId(in.worker()),
                              time_from_unix_ms(in.from_ms()),
                              time_from_unix_ms(in.to_ms()),
                              charge(in.total()),
                              charge(in.jobs()),
                              charge(in.lost())};
}

core::Fact decode_fact(const v1::Fact& in, Check& check) {
  switch (in.fact_case()) {
    case v1::Fact::kClusterCreated:
      return get(in.cluster_created(), check);
    case v1::Fact::kClusterRestored:
      return get(in.cluster_restored(), check);
    case v1::Fact::kProjectCreated:
      return get(in.project_created(), check);
    case v1::Fact::kPriceBookChanged:
      return get(in.price_book_changed(), check);
    case v1::Fact::kTokenCreated:
      return get(in.token_created(), check);
    case v1::Fact::kTokenRevoked:
      return get(in.token_revoked(), check);
    case v1::Fact::kJoinFileCreated:
      return get(in.join_file_created(), check);
    case v1::Fact::kJoinFileRevoked:
      return get(in.join_file_revoked(), check);
    case v1::Fact::kWorkerRegistered:
      return get(in.worker_registered(), check);
    case v1::Fact::kWorkerConnected:
      return get(in.worker_connected(), check);
    case v1::Fact::kWorkerStateChanged:
      return get(in.worker_state_changed(), check);
    case v1::Fact::kReportsProcessed:
      return get(in.reports_processed(), check);
    case v1::Fact::kJobAccepted:
      return get(in.job_accepted(), check);
    case v1::Fact::kJobDemandChanged:
      return get(in.job_demand_changed(), check);
    case v1::Fact::kJobStateChanged:
      return get(in.job_state_changed(), check);
    case v1::Fact::kJobUpdated:
      return get(in.job_updated(), check);
    case v1::Fact::kUnitsDone:
      return get(in.units_done(), check);
    case v1::Fact::kUnitsFailedCounted:
      return get(in.units_failed_counted(), check);
    case v1::Fact::kJobForgotten:
      return get(in.job_forgotten(), check);
    case v1::Fact::kSeatGranted:
      return get(in.seat_granted(), check);
    case v1::Fact::kSeatFunded:
      return get(in.seat_funded(), check);
    case v1::Fact::kSeatStopping:
      return get(in.seat_stopping(), check);
    case v1::Fact::kSeatReleased:
      return get(in.seat_released(), check);
    case v1::Fact::kUsageCharged:
      return get(in.usage_charged(), check);
    case v1::Fact::kMachineCharged:
      return get(in.machine_charged(), check);
    case v1::Fact::kCheckpointKept:
      return get(in.checkpoint_kept(), check);
    case v1::Fact::kAttemptBroken:
      return get(in.attempt_broken(), check);
    case v1::Fact::kAttemptEnded:
      return get(in.attempt_ended(), check);
    case v1::Fact::FACT_NOT_SET:
      break;
  }
  check.wrong("fact");
  return core::JobForgotten{};
}

}  // namespace

Result<DecodedTurn> decode_turn(std::string_view bytes) {
  v1::Turn turn;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !turn.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || turn.version() == 0) {
    return fail(Code::kDataLoss, "the bytes are no turn of facts", "turn");
  }
  if (turn.version() > kFactVersion) {
    return fail(Code::kFailedPrecondition,
                "the turn has version " + std::to_string(turn.version()) +
                    "; this program reads versions up to " + std::to_string(kFactVersion),
                "version", "start the newer program again");
  }
  DecodedTurn out;
  out.sequence = turn.sequence();
  out.time = time_from_unix_ms(turn.time_ms());
  out.facts.reserve(static_cast<std::size_t>(turn.facts_size()));
  for (const v1::Fact& fact : turn.facts()) {
    Check check;
    out.facts.push_back(decode_fact(fact, check));
    if (!check.field().empty()) {
      return fail(Code::kDataLoss,
                  "fact " + std::to_string(out.facts.size()) + " of turn " +
                      std::to_string(turn.sequence()) + " makes no sense in " + check.field(),
                  check.field());
    }
  }
  return out;
}

}  // namespace overwinter::wire
