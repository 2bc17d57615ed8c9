// Rows of jobs, their seats and what is known of a gang.
#include "common/wire/convert.h"
#include "coordinator/wire/codec_parts.h"
#include "coordinator/wire/record_codec.h"
#include "coordinator/wire/record_parts.h"
#include "overwinter/v1/record.pb.h"

namespace overwinter::wire {
namespace {

using namespace codec;

void put_seat(const core::Seat& seat, v1::SeatRecord* out) {
  put(seat.key, out->mutable_seat());
  out->set_worker(seat.worker.value());
  out->set_incarnation(seat.incarnation.value());
  out->set_device(seat.device);
  out->set_memory_bytes(seat.memory_bytes);
  out->set_threads(seat.threads);
  out->set_share_ppm(seat.share_ppm);
  out->set_device_price_per_hour_micros(seat.device_price_per_hour.micros);
  out->set_funded_for_ms(seat.funded_for.count());
  put(seat.reserved, out->mutable_reserved());
  put(seat.charged, out->mutable_charged());
  out->set_used_charged_ms(seat.used_charged.count());
  out->set_granted_at_ms(unix_ms(seat.granted_at));
  out->set_slice_from_ms(unix_ms(seat.slice_from));
  out->set_evidence_at_ms(unix_ms(seat.evidence_at));
  out->set_stopping(seat.stopping);
  out->set_stop_cause(static_cast<std::uint32_t>(seat.stop_cause));
  out->set_stopping_at_ms(unix_ms(seat.stopping_at));
}

core::Seat get_seat(const v1::SeatRecord& in, Check& check) {
  core::Seat out;
  out.key = seat(in.seat());
  out.worker = WorkerId(in.worker());
  out.incarnation = Incarnation(in.incarnation());
  out.device = in.device();
  out.memory_bytes = in.memory_bytes();
  out.threads = in.threads();
  out.share_ppm = in.share_ppm();
  out.device_price_per_hour = Money{in.device_price_per_hour_micros()};
  out.funded_for = Duration(in.funded_for_ms());
  out.reserved = charge(in.reserved());
  out.charged = charge(in.charged());
  out.used_charged = Duration(in.used_charged_ms());
  out.granted_at = time_from_unix_ms(in.granted_at_ms());
  out.slice_from = time_from_unix_ms(in.slice_from_ms());
  out.evidence_at = time_from_unix_ms(in.evidence_at_ms());
  out.stopping = in.stopping();
  out.stop_cause = cause(in.stop_cause(), check);
  out.stopping_at = time_from_unix_ms(in.stopping_at_ms());
  return out;
}

void put_gang(const core::JobRecord& job, v1::GangRecord* out) {
  if (job.checkpoint_step) out->set_checkpoint_step(*job.checkpoint_step);
  out->set_checkpoint_attempt(job.checkpoint_attempt);
  out->set_checkpoint_at_ms(unix_ms(job.checkpoint_at));
  for (const WorkerId worker : job.gang_workers) out->add_workers(worker.value());
  out->set_seats_finished(job.seats_finished);
  out->set_broken(job.broken);
  out->set_broken_cause(static_cast<std::uint32_t>(job.broken_cause));
  v1::CulpritRecord* culprit = out->mutable_culprit();
  culprit->set_seat(job.culprit.seat);
  culprit->set_worker(job.culprit.worker.value());
  culprit->set_end(static_cast<std::uint32_t>(job.culprit.end));
  put(job.culprit.exit, culprit->mutable_exit());
  culprit->set_message(job.culprit.message);
  out->set_stalls(job.stalls);
  for (const core::EndedAttempt& ended : job.ended_attempts) {
    v1::EndedAttemptRecord* to = out->add_ended_attempts();
    to->set_attempt(ended.attempt);
    to->set_cause(static_cast<std::uint32_t>(ended.cause));
    to->set_worker(ended.worker.value());
    to->set_step(ended.step);
    to->set_from_step(ended.from_step);
    put(ended.exit, to->mutable_exit());
    to->set_reason(ended.reason);
    to->set_at_ms(unix_ms(ended.at));
    put(ended.wasted, to->mutable_wasted());
    put(ended.gang_wait, to->mutable_gang_wait());
  }
  put(job.wasted, out->mutable_wasted());
  put(job.gang_wait, out->mutable_gang_wait());
  if (job.up_at) out->set_up_at_ms(unix_ms(*job.up_at));
}

void get_gang(const v1::GangRecord& in, core::Job& out, Check& check) {
  if (in.has_checkpoint_step()) out.checkpoint_step = in.checkpoint_step();
  out.checkpoint_attempt = in.checkpoint_attempt();
  out.checkpoint_at = time_from_unix_ms(in.checkpoint_at_ms());
  for (const std::uint64_t worker : in.workers()) out.gang_workers.push_back(WorkerId(worker));
  out.seats_finished = in.seats_finished();
  out.broken = in.broken();
  out.broken_cause = cause(in.broken_cause(), check);
  out.culprit.seat = in.culprit().seat();
  out.culprit.worker = WorkerId(in.culprit().worker());
  out.culprit.end = seat_end(in.culprit().end(), check);
  out.culprit.exit = seat_exit(in.culprit().exit());
  out.culprit.message = in.culprit().message();
  out.stalls = in.stalls();
  for (const v1::EndedAttemptRecord& from : in.ended_attempts()) {
    out.ended_attempts.push_back(
        {from.attempt(), cause(from.cause(), check), WorkerId(from.worker()), from.step(),
         from.from_step(), seat_exit(from.exit()), from.reason(), time_from_unix_ms(from.at_ms()),
         charge(from.wasted()), charge(from.gang_wait())});
  }
  out.wasted = charge(in.wasted());
  out.gang_wait = charge(in.gang_wait());
  if (in.has_up_at_ms()) out.up_at = time_from_unix_ms(in.up_at_ms());
}

}  // namespace

std::string encode_job(const core::JobRecord& job) {
  v1::JobRecord out;
  out.set_job(job.id.value());
  out.set_project(job.project);
  out.set_name(job.name);
  out.set_display_name(job.display_name);
  out.set_request_id(job.request_id);
  put_labels(job.labels, out.mutable_labels());
  put(job.demand, out.mutable_demand());
  out.set_submitter(job.submitter);
  out.set_state(static_cast<std::uint32_t>(job.state));
  out.set_cause(static_cast<std::uint32_t>(job.cause));
  out.set_reason(job.reason);
  out.set_attempt(job.attempt);
  out.set_state_actor(job.state_actor);
  out.set_created_at_ms(unix_ms(job.created_at));
  if (job.started_at) out.set_started_at_ms(unix_ms(*job.started_at));
  if (job.ended_at) out.set_ended_at_ms(unix_ms(*job.ended_at));
  out.set_state_at_ms(unix_ms(job.state_at));
  if (job.running_since) out.set_running_since_ms(unix_ms(*job.running_since));
  out.set_ran_ms(job.ran.count());
  out.set_ran_at_resume_ms(job.ran_at_resume.count());
  to_proto(job.done, out.mutable_done());
  for (const auto& [number, one] : job.seats) put_seat(one, out.add_seats());
  out.set_next_seat(job.next_seat);
  out.set_failures(job.failures);
  out.set_last_failure(job.last_failure);
  out.set_memory_peak_bytes(job.memory_peak_bytes);
  put(job.charged, out.mutable_charged());
  put(job.reserved, out.mutable_reserved());
  if (job.demand.transport == Transport::kGang) put_gang(job, out.mutable_gang());
  return serialise(out);
}

Result<core::Job> decode_job(std::string_view bytes) {
  v1::JobRecord in;
  if (!parse(bytes, in) || in.job() == 0) return fail(damaged("job"));
  Check check;
  core::Job out;
  out.id = JobId(in.job());
  out.project = in.project();
  out.name = in.name();
  out.display_name = in.display_name();
  out.request_id = in.request_id();
  out.labels = labels(in.labels());
  out.demand = demand(in.demand(), check);
  out.submitter = in.submitter();
  out.state =
      enumeration(in.state(), core::JobState::kQueued, core::JobState::kCancelled, "state", check);
  out.cause = cause(in.cause(), check);
  out.reason = in.reason();
  out.attempt = in.attempt();
  out.state_actor = in.state_actor();
  out.created_at = time_from_unix_ms(in.created_at_ms());
  if (in.has_started_at_ms()) out.started_at = time_from_unix_ms(in.started_at_ms());
  if (in.has_ended_at_ms()) out.ended_at = time_from_unix_ms(in.ended_at_ms());
  out.state_at = time_from_unix_ms(in.state_at_ms());
  if (in.has_running_since_ms()) out.running_since = time_from_unix_ms(in.running_since_ms());
  out.ran = Duration(in.ran_ms());
  out.ran_at_resume = Duration(in.ran_at_resume_ms());
  out.done = units(in.done(), check);
  for (const auto& one : in.seats()) {
    const core::Seat held = get_seat(one, check);
    out.seats.insert_or_assign(held.key.number, held);
  }
  out.next_seat = in.next_seat();
  out.failures = in.failures();
  out.last_failure = in.last_failure();
  out.memory_peak_bytes = in.memory_peak_bytes();
  out.charged = charge(in.charged());
  out.reserved = charge(in.reserved());
  if (in.has_gang()) get_gang(in.gang(), out, check);
  if (!check.field().empty()) return fail(damaged("job", check.field()));
  return out;
}

}  // namespace overwinter::wire
