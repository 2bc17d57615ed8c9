// Rows of workers.
#include "common/wire/convert.h"
#include "coordinator/wire/codec_parts.h"
#include "coordinator/wire/record_codec.h"
#include "coordinator/wire/record_parts.h"
#include "overwinter/v1/record.pb.h"

namespace overwinter::wire {

using namespace codec;

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
  for (const Time at : worker.lost_at) out.add_lost_at_ms(unix_ms(at));
  for (const core::BusySpan& span : worker.busy) {
    auto* added = out.add_busy();
    added->set_from_ms(unix_ms(span.from));
    added->set_until_ms(unix_ms(span.until));
  }
  if (worker.busy_since) out.set_busy_since_ms(unix_ms(*worker.busy_since));
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
  out.registered_at = time_from_unix_ms(in.registered_at_ms());
  out.state_at = time_from_unix_ms(in.state_at_ms());
  for (const auto& use : in.use()) {
    out.use.push_back({use.memory_bytes(), use.threads(), use.share_ppm(), use.seats()});
  }
  for (const auto& key : in.seats()) out.seats.insert(seat(key));
  for (const std::int64_t price : in.device_prices_micros()) {
    out.device_prices.push_back(Money{price});
  }
  out.slice_from = time_from_unix_ms(in.slice_from_ms());
  out.jobs_in_slice = charge(in.jobs_in_slice());
  for (const auto& later : in.jobs_later()) {
    out.jobs_later[time_from_unix_ms(later.from_ms())] = charge(later.charge());
  }
  out.total = charge(in.total());
  out.jobs = charge(in.jobs());
  out.lost = charge(in.lost());
  for (const std::int64_t at : in.lost_at_ms()) out.lost_at.push_back(time_from_unix_ms(at));
  for (const auto& span : in.busy()) {
    out.busy.push_back({time_from_unix_ms(span.from_ms()), time_from_unix_ms(span.until_ms())});
  }
  if (in.has_busy_since_ms()) out.busy_since = time_from_unix_ms(in.busy_since_ms());
  if (!check.field().empty()) return fail(damaged("worker", check.field()));
  return out;
}

}  // namespace overwinter::wire
