#include "coordinator/wire/record_codec.h"

#include "common/wire/convert.h"
#include "coordinator/wire/codec_parts.h"
#include "overwinter/v1/record.pb.h"

namespace overwinter::wire {
namespace {

using namespace codec;

template <class Message>
bool parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

Status damaged(std::string_view what, std::string_view field = {}) {
  return error(Code::kDataLoss, "the bytes are no record of a " + std::string(what),
               std::string(field));
}

Time time_of(std::int64_t ms) {
  return time_from_unix_ms(ms);
}

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
  out.granted_at = time_of(in.granted_at_ms());
  out.slice_from = time_of(in.slice_from_ms());
  out.evidence_at = time_of(in.evidence_at_ms());
  out.stopping = in.stopping();
  out.stop_cause = cause(in.stop_cause(), check);
  out.stopping_at = time_of(in.stopping_at_ms());
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
  }
  put(job.wasted, out->mutable_wasted());
}

void get_gang(const v1::GangRecord& in, core::Job& out, Check& check) {
  if (in.has_checkpoint_step()) out.checkpoint_step = in.checkpoint_step();
  out.checkpoint_attempt = in.checkpoint_attempt();
  out.checkpoint_at = time_of(in.checkpoint_at_ms());
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
    out.ended_attempts.push_back({from.attempt(), cause(from.cause(), check),
                                  WorkerId(from.worker()), from.step(), from.from_step(),
                                  seat_exit(from.exit()), from.reason(), time_of(from.at_ms()),
                                  charge(from.wasted())});
  }
  out.wasted = charge(in.wasted());
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
  out.created_at = time_of(in.created_at_ms());
  if (in.has_started_at_ms()) out.started_at = time_of(in.started_at_ms());
  if (in.has_ended_at_ms()) out.ended_at = time_of(in.ended_at_ms());
  out.state_at = time_of(in.state_at_ms());
  if (in.has_running_since_ms()) out.running_since = time_of(in.running_since_ms());
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

std::string encode_worker(const core::Worker& worker) {
  v1::WorkerRecord out;
  out.set_worker(worker.id.value());
  out.set_join_file(worker.join_file.value());
  out.set_name(worker.name);
  put_labels(worker.labels, out.mutable_labels());
  for (const auto& project : worker.projects) out.add_projects(project);
  out.set_spot(worker.spot);
  if (worker.price_per_hour) out.set_price_per_hour_micros(worker.price_per_hour->micros);
  out.set_public_key(bytes_of(worker.public_key));
  out.set_state(static_cast<std::uint32_t>(worker.state));
  out.set_reason(worker.reason);
  out.set_draining(worker.draining);
  out.set_removing(worker.removing);
  out.set_incarnation(worker.incarnation.value());
  put(worker.machine, out.mutable_machine());
  out.set_reports_processed(worker.reports_processed);
  out.set_registered_at_ms(unix_ms(worker.registered_at));
  out.set_state_at_ms(unix_ms(worker.state_at));
  for (const auto& use : worker.use) {
    auto* added = out.add_use();
    added->set_memory_bytes(use.memory_bytes);
    added->set_threads(use.threads);
    added->set_share_ppm(use.share_ppm);
    added->set_seats(use.seats);
  }
  for (const SeatKey& key : worker.seats) put(key, out.add_seats());
  for (const Money price : worker.device_prices) out.add_device_prices_micros(price.micros);
  out.set_slice_from_ms(unix_ms(worker.slice_from));
  put(worker.jobs_in_slice, out.mutable_jobs_in_slice());
  for (const auto& [from, charged] : worker.jobs_later) {
    auto* added = out.add_jobs_later();
    added->set_from_ms(unix_ms(from));
    put(charged, added->mutable_charge());
  }
  put(worker.total, out.mutable_total());
  put(worker.jobs, out.mutable_jobs());
  put(worker.lost, out.mutable_lost());
  return serialise(out);
}

Result<core::Worker> decode_worker(std::string_view bytes) {
  v1::WorkerRecord in;
  if (!parse(bytes, in) || in.worker() == 0) return fail(damaged("worker"));
  Check check;
  core::Worker out;
  out.id = WorkerId(in.worker());
  out.join_file = JoinFileId(in.join_file());
  out.name = in.name();
  out.labels = labels(in.labels());
  out.projects.assign(in.projects().begin(), in.projects().end());
  out.spot = in.spot();
  if (in.has_price_per_hour_micros()) out.price_per_hour = Money{in.price_per_hour_micros()};
  out.public_key = digest(in.public_key(), "public_key", check);
  out.state = enumeration(in.state(), core::WorkerState::kJoined, core::WorkerState::kRemoved,
                          "state", check);
  out.reason = in.reason();
  out.draining = in.draining();
  out.removing = in.removing();
  out.incarnation = Incarnation(in.incarnation());
  out.machine = machine(in.machine());
  out.reports_processed = in.reports_processed();
  out.registered_at = time_of(in.registered_at_ms());
  out.state_at = time_of(in.state_at_ms());
  for (const auto& use : in.use()) {
    out.use.push_back({use.memory_bytes(), use.threads(), use.share_ppm(), use.seats()});
  }
  for (const auto& key : in.seats()) out.seats.insert(seat(key));
  for (const std::int64_t price : in.device_prices_micros()) {
    out.device_prices.push_back(Money{price});
  }
  out.slice_from = time_of(in.slice_from_ms());
  out.jobs_in_slice = charge(in.jobs_in_slice());
  for (const auto& later : in.jobs_later()) {
    out.jobs_later[time_of(later.from_ms())] = charge(later.charge());
  }
  out.total = charge(in.total());
  out.jobs = charge(in.jobs());
  out.lost = charge(in.lost());
  if (!check.field().empty()) return fail(damaged("worker", check.field()));
  return out;
}

std::string encode_project(const core::Project& project) {
  v1::ProjectRecord out;
  out.set_name(project.name);
  out.set_created_at_ms(unix_ms(project.created_at));
  put(project.charged, out.mutable_charged());
  return serialise(out);
}

Result<core::Project> decode_project(std::string_view bytes) {
  v1::ProjectRecord in;
  if (!parse(bytes, in) || in.name().empty()) return fail(damaged("project"));
  return core::Project{in.name(), time_of(in.created_at_ms()), charge(in.charged())};
}

std::string encode_token(const core::Token& token) {
  v1::TokenRecord out;
  out.set_id(token.id.value());
  out.set_hash(bytes_of(token.hash));
  out.set_role(static_cast<std::uint32_t>(token.role));
  out.set_project(token.project);
  out.set_name(token.name);
  if (token.expires) out.set_expires_ms(unix_ms(*token.expires));
  out.set_created_at_ms(unix_ms(token.created_at));
  if (token.revoked_at) out.set_revoked_at_ms(unix_ms(*token.revoked_at));
  return serialise(out);
}

Result<core::Token> decode_token(std::string_view bytes) {
  v1::TokenRecord in;
  if (!parse(bytes, in) || in.id() == 0) return fail(damaged("token"));
  Check check;
  core::Token out;
  out.id = TokenId(in.id());
  out.hash = digest(in.hash(), "hash", check);
  out.role = enumeration(in.role(), Role::kNone, Role::kAdmin, "role", check);
  out.project = in.project();
  out.name = in.name();
  if (in.has_expires_ms()) out.expires = time_of(in.expires_ms());
  out.created_at = time_of(in.created_at_ms());
  if (in.has_revoked_at_ms()) out.revoked_at = time_of(in.revoked_at_ms());
  if (!check.field().empty()) return fail(damaged("token", check.field()));
  return out;
}

std::string encode_join_file(const core::JoinFile& file) {
  v1::JoinFileRecord out;
  out.set_id(file.id.value());
  out.set_uses(file.uses);
  out.set_used(file.used);
  out.set_expires_ms(unix_ms(file.expires));
  out.set_name(file.name);
  for (const auto& project : file.projects) out.add_projects(project);
  out.set_may_set_price(file.may_set_price);
  out.set_created_at_ms(unix_ms(file.created_at));
  if (file.revoked_at) out.set_revoked_at_ms(unix_ms(*file.revoked_at));
  return serialise(out);
}

Result<core::JoinFile> decode_join_file(std::string_view bytes) {
  v1::JoinFileRecord in;
  if (!parse(bytes, in) || in.id() == 0) return fail(damaged("join file"));
  core::JoinFile out;
  out.id = JoinFileId(in.id());
  out.uses = in.uses();
  out.used = in.used();
  out.expires = time_of(in.expires_ms());
  out.name = in.name();
  out.projects.assign(in.projects().begin(), in.projects().end());
  out.may_set_price = in.may_set_price();
  out.created_at = time_of(in.created_at_ms());
  if (in.has_revoked_at_ms()) out.revoked_at = time_of(in.revoked_at_ms());
  return out;
}

std::string encode_cluster(const core::ClusterState& state) {
  v1::ClusterRecord out;
  out.set_cluster(state.cluster);
  out.set_seed(state.seed);
  out.set_last_time_ms(unix_ms(state.last_time));
  put(state.prices, out.mutable_prices());
  out.set_prices_source(state.prices_source);
  out.set_prices_set_at_ms(unix_ms(state.prices_set_at));
  out.set_next_job(state.next_job);
  out.set_next_worker(state.next_worker);
  out.set_next_token(state.next_token);
  out.set_next_join_file(state.next_join_file);
  for (const core::EarlierPrices& earlier : state.earlier_prices) {
    v1::EarlierPricesRecord* to = out.add_earlier_prices();
    put(earlier.book, to->mutable_prices());
    to->set_until_ms(unix_ms(earlier.until));
  }
  return serialise(out);
}

Status decode_cluster(std::string_view bytes, core::ClusterState& state) {
  v1::ClusterRecord in;
  if (!parse(bytes, in) || in.next_job() == 0) return damaged("cluster");
  state.cluster = in.cluster();
  state.seed = in.seed();
  state.last_time = time_of(in.last_time_ms());
  state.prices = price_book(in.prices());
  state.prices_source = in.prices_source();
  state.prices_set_at = time_of(in.prices_set_at_ms());
  state.next_job = in.next_job();
  state.next_worker = in.next_worker();
  state.next_token = in.next_token();
  state.next_join_file = in.next_join_file();
  state.earlier_prices.clear();
  for (const auto& from : in.earlier_prices()) {
    state.earlier_prices.push_back({price_book(from.prices()), time_of(from.until_ms())});
  }
  return Status::success();
}

}  // namespace overwinter::wire
