#include "common/wire/convert.h"
#include "coordinator/wire/codec_parts.h"
#include "coordinator/wire/fact_codec.h"
#include "overwinter/v1/fact.pb.h"

namespace overwinter::wire {
namespace {

using codec::bytes_of;
using codec::put;
using codec::put_labels;

// ---- one function a fact ------------------------------------------------------------------------

void put(const core::ClusterCreated& fact, v1::Fact& to) {
  auto* out = to.mutable_cluster_created();
  out->set_cluster(fact.cluster);
  out->set_seed(fact.seed);
}

void put(const core::ClusterRestored& fact, v1::Fact& to) {
  auto* out = to.mutable_cluster_restored();
  out->set_generation(fact.generation.number);
  out->set_id(fact.generation.id);
  out->set_backup_turn(fact.generation.backup_turn);
  out->set_backup_ms(unix_ms(fact.generation.backup));
  out->set_restored_ms(unix_ms(fact.generation.restored));
}

void put(const core::ProjectCreated& fact, v1::Fact& to) {
  auto* out = to.mutable_project_created();
  out->set_project(fact.project);
  out->set_actor(fact.actor);
}

void put(const core::PriceBookChanged& fact, v1::Fact& to) {
  auto* out = to.mutable_price_book_changed();
  put(fact.book, out->mutable_book());
  out->set_source(fact.source);
  out->set_actor(fact.actor);
}

void put(const core::TokenCreated& fact, v1::Fact& to) {
  auto* out = to.mutable_token_created();
  out->set_id(fact.id.value());
  out->set_hash(bytes_of(fact.hash));
  out->set_role(static_cast<std::uint32_t>(fact.role));
  out->set_project(fact.project);
  out->set_name(fact.name);
  if (fact.expires) out->set_expires_ms(unix_ms(*fact.expires));
  out->set_actor(fact.actor);
}

void put(const core::TokenRevoked& fact, v1::Fact& to) {
  auto* out = to.mutable_token_revoked();
  out->set_id(fact.id.value());
  out->set_actor(fact.actor);
}

void put(const core::JoinFileCreated& fact, v1::Fact& to) {
  auto* out = to.mutable_join_file_created();
  out->set_id(fact.id.value());
  out->set_uses(fact.uses);
  out->set_expires_ms(unix_ms(fact.expires));
  out->set_name(fact.name);
  for (const auto& project : fact.projects) out->add_projects(project);
  out->set_may_set_price(fact.may_set_price);
  out->set_actor(fact.actor);
}

void put(const core::JoinFileRevoked& fact, v1::Fact& to) {
  auto* out = to.mutable_join_file_revoked();
  out->set_id(fact.id.value());
  out->set_actor(fact.actor);
}

void put(const core::WorkerRegistered& fact, v1::Fact& to) {
  auto* out = to.mutable_worker_registered();
  out->set_worker(fact.worker.value());
  out->set_join_file(fact.join_file.value());
  out->set_name(fact.name);
  put_labels(fact.labels, out->mutable_labels());
  for (const auto& project : fact.projects) out->add_projects(project);
  out->set_spot(fact.spot);
  if (fact.price_per_hour) out->set_price_per_hour_micros(fact.price_per_hour->micros);
  out->set_public_key(bytes_of(fact.public_key));
}

void put(const core::WorkerConnected& fact, v1::Fact& to) {
  auto* out = to.mutable_worker_connected();
  out->set_worker(fact.worker.value());
  out->set_incarnation(fact.incarnation.value());
  put(fact.machine, out->mutable_machine());
}

void put(const core::WorkerStateChanged& fact, v1::Fact& to) {
  auto* out = to.mutable_worker_state_changed();
  out->set_worker(fact.worker.value());
  out->set_state(static_cast<std::uint32_t>(fact.state));
  out->set_reason(fact.reason);
  out->set_actor(fact.actor);
  out->set_removing(fact.removing);
}

void put(const core::ReportsProcessed& fact, v1::Fact& to) {
  auto* out = to.mutable_reports_processed();
  out->set_worker(fact.worker.value());
  out->set_incarnation(fact.incarnation.value());
  out->set_number(fact.number);
}

void put(const core::JobAccepted& fact, v1::Fact& to) {
  auto* out = to.mutable_job_accepted();
  out->set_job(fact.job.value());
  out->set_project(fact.project);
  out->set_name(fact.name);
  out->set_display_name(fact.display_name);
  put_labels(fact.labels, out->mutable_labels());
  out->set_request_id(fact.request_id);
  if (fact.spec) out->set_spec(*fact.spec);
  put(fact.demand, out->mutable_demand());
  if (fact.plan) out->set_plan(*fact.plan);
  out->set_actor(fact.actor);
}

void put(const core::JobDemandChanged& fact, v1::Fact& to) {
  auto* out = to.mutable_job_demand_changed();
  out->set_job(fact.job.value());
  put(fact.demand, out->mutable_demand());
  if (fact.plan) out->set_plan(*fact.plan);
}

void put(const core::JobStateChanged& fact, v1::Fact& to) {
  auto* out = to.mutable_job_state_changed();
  out->set_job(fact.job.value());
  out->set_state(static_cast<std::uint32_t>(fact.state));
  out->set_cause(static_cast<std::uint32_t>(fact.cause));
  out->set_attempt(fact.attempt);
  out->set_reason(fact.reason);
  out->set_actor(fact.actor);
}

void put(const core::JobUpdated& fact, v1::Fact& to) {
  auto* out = to.mutable_job_updated();
  out->set_job(fact.job.value());
  if (fact.cap) out->set_cap_micros(fact.cap->micros);
  if (fact.priority) out->set_priority(static_cast<std::uint32_t>(*fact.priority));
  out->set_actor(fact.actor);
}

void put(const core::UnitsDone& fact, v1::Fact& to) {
  auto* out = to.mutable_units_done();
  out->set_job(fact.job.value());
  to_proto(fact.units, out->mutable_units());
  put(fact.seat, out->mutable_seat());
}

void put(const core::UnitsFailedCounted& fact, v1::Fact& to) {
  auto* out = to.mutable_units_failed_counted();
  out->set_job(fact.job.value());
  put(fact.seat, out->mutable_seat());
  out->set_message(fact.message);
}

void put(const core::JobForgotten& fact, v1::Fact& to) {
  to.mutable_job_forgotten()->set_job(fact.job.value());
}

void put(const core::SeatGranted& fact, v1::Fact& to) {
  auto* out = to.mutable_seat_granted();
  put(fact.seat, out->mutable_seat());
  out->set_worker(fact.worker.value());
  out->set_incarnation(fact.incarnation.value());
  out->set_device(fact.device);
  out->set_memory_bytes(fact.memory_bytes);
  out->set_threads(fact.threads);
  out->set_share_ppm(fact.share_ppm);
  out->set_device_price_per_hour_micros(fact.device_price_per_hour.micros);
  out->set_funded_for_ms(fact.funded_for.count());
  put(fact.reserved, out->mutable_reserved());
}

void put(const core::SeatFunded& fact, v1::Fact& to) {
  auto* out = to.mutable_seat_funded();
  put(fact.seat, out->mutable_seat());
  out->set_funded_for_ms(fact.funded_for.count());
  put(fact.reserved, out->mutable_reserved());
  if (fact.device_price_per_hour) {
    out->set_device_price_per_hour_micros(fact.device_price_per_hour->micros);
  }
}

void put(const core::SeatStopping& fact, v1::Fact& to) {
  auto* out = to.mutable_seat_stopping();
  put(fact.seat, out->mutable_seat());
  out->set_cause(static_cast<std::uint32_t>(fact.cause));
}

void put(const core::SeatReleased& fact, v1::Fact& to) {
  auto* out = to.mutable_seat_released();
  put(fact.seat, out->mutable_seat());
  out->set_end(static_cast<std::uint32_t>(fact.end));
  out->set_used_ms(fact.used.count());
  out->set_memory_peak_bytes(fact.memory_peak_bytes);
  out->set_message(fact.message);
  if (fact.exit != SeatExit{}) put(fact.exit, out->mutable_exit());
  put(fact.wasted, out->mutable_wasted());
  put(fact.gang_wait, out->mutable_gang_wait());
}

void put(const core::CheckpointKept& fact, v1::Fact& to) {
  auto* out = to.mutable_checkpoint_kept();
  out->set_job(fact.job.value());
  out->set_attempt(fact.attempt);
  out->set_step(fact.step);
}

void put(const core::AttemptBroken& fact, v1::Fact& to) {
  auto* out = to.mutable_attempt_broken();
  out->set_job(fact.job.value());
  out->set_attempt(fact.attempt);
  out->set_cause(static_cast<std::uint32_t>(fact.cause));
}

void put(const core::AttemptEnded& fact, v1::Fact& to) {
  auto* out = to.mutable_attempt_ended();
  out->set_job(fact.job.value());
  out->set_attempt(fact.attempt);
  out->set_cause(static_cast<std::uint32_t>(fact.cause));
  out->set_seat(fact.seat);
  out->set_worker(fact.worker.value());
  out->set_step(fact.step);
  out->set_counts(fact.counts);
  put(fact.exit, out->mutable_exit());
  out->set_reason(fact.reason);
}

void put(const core::UsageCharged& fact, v1::Fact& to) {
  auto* out = to.mutable_usage_charged();
  put(fact.seat, out->mutable_seat());
  out->set_from_ms(unix_ms(fact.from));
  out->set_to_ms(unix_ms(fact.to));
  out->set_used_ms(fact.used.count());
  out->set_device_price_per_hour_micros(fact.device_price_per_hour.micros);
  put(fact.charge, out->mutable_charge());
}

void put(const core::MachineCharged& fact, v1::Fact& to) {
  auto* out = to.mutable_machine_charged();
  out->set_worker(fact.worker.value());
  out->set_from_ms(unix_ms(fact.from));
  out->set_to_ms(unix_ms(fact.to));
  put(fact.total, out->mutable_total());
  put(fact.jobs, out->mutable_jobs());
  put(fact.lost, out->mutable_lost());
}

}  // namespace

std::string encode_turn(std::uint64_t sequence, Time time, std::span<const core::Fact> facts) {
  v1::Turn turn;
  turn.set_version(kFactVersion);
  turn.set_sequence(sequence);
  turn.set_time_ms(unix_ms(time));
  turn.mutable_facts()->Reserve(static_cast<int>(facts.size()));
  for (const core::Fact& fact : facts) {
    v1::Fact* added = turn.add_facts();
    std::visit([&](const auto& one) { put(one, *added); }, fact);
  }
  return codec::serialise(turn);
}

}  // namespace overwinter::wire
