// digest(): every field of a state, in order, through a 64-bit mixing function (splitmix64's
// finaliser).
#include <bit>
#include <string_view>

#include "coordinator/core/cluster_state.h"

namespace overwinter::core {
namespace {

class Hasher {
 public:
  [[nodiscard]] std::uint64_t value() const { return value_; }

  void mix(std::uint64_t word) {
    std::uint64_t z = value_ ^ (word + 0x9e3779b97f4a7c15ULL + (value_ << 6) + (value_ >> 2));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    value_ = z ^ (z >> 31);
  }

  template <class... Ts>
  void all(const Ts&... values) {
    (add(values), ...);
  }

  template <class T>
  requires std::is_integral_v<T>
  void add(T value) { mix(static_cast<std::uint64_t>(value)); }
  template <class T>
  requires std::is_enum_v<T>
  void add(T value) { mix(static_cast<std::uint64_t>(value)); }
  void add(double value) { mix(std::bit_cast<std::uint64_t>(value)); }
  void add(std::string_view text) {
    mix(text.size());
    std::uint64_t word = 0;
    int filled = 0;
    for (const char c : text) {
      word = word << 8 | static_cast<unsigned char>(c);
      if (++filled < 8) continue;
      mix(word);
      word = 0;
      filled = 0;
    }
    mix(word);
  }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const SharedBytes& bytes) { add(bytes ? std::string_view(*bytes) : std::string_view()); }
  template <class Tag>
  void add(Id<Tag> id) {
    mix(id.value());
  }
  void add(Time time) { mix(static_cast<std::uint64_t>(unix_ms(time))); }
  void add(Duration duration) { mix(static_cast<std::uint64_t>(duration.count())); }
  void add(Money money) { mix(static_cast<std::uint64_t>(money.micros)); }
  void add(ledger::Charge charge) {
    mix(static_cast<std::uint64_t>(charge.units));
    mix(static_cast<std::uint64_t>(charge.units >> 64));
  }
  void add(const Digest& digest) {
    for (const std::uint8_t byte : digest.bytes) mix(byte);
  }
  void add(SeatKey key) { all(key.job, key.attempt, key.number); }
  template <class T>
  void add(const std::optional<T>& value) {
    mix(value.has_value());
    if (value) add(*value);
  }
  template <class A, class B>
  void add(const std::pair<A, B>& pair) {
    all(pair.first, pair.second);
  }
  template <class T>
  void add(const std::vector<T>& values) {
    range(values);
  }
  template <class T>
  void add(const std::set<T>& values) {
    range(values);
  }
  template <class K, class V>
  void add(const std::map<K, V>& values) {
    range(values);
  }

  void add(const UnitRanges& units) {
    mix(units.ranges().size());
    for (const UnitRange& r : units.ranges()) all(r.begin, r.end);
  }
  void add(const Demand& d) {
    all(d.transport, d.seats_min, d.seats_max, d.device_kind, d.memory_bytes, d.threads, d.units,
        d.units_per_range_max, d.landing, d.stop_time, d.cap, d.time_limit, d.priority, d.spot,
        d.predicted_duration, d.predicted_cost, d.predicted_memory_bytes);
  }
  void add(const DeviceInfo& d) {
    all(d.kind, d.model, d.memory_bytes, d.threads, d.gflops_fp32, d.gflops_fp64, d.uuid,
        d.memory_total_bytes, d.host_memory_bytes, d.gflops_bf16, d.gflops_fp16, d.gflops_int8,
        d.strassen_fp32_side, d.strassen_fp64_side);
  }
  void add(const MachineInfo& m) {
    all(m.host_id, m.host_name, m.version, m.devices, m.same_host_as_coordinator);
  }
  void add(const ledger::PriceEntry& e) {
    all(e.from, e.device, e.supplier, e.spot, e.per_hour, e.minimum);
  }
  void add(const ledger::PriceBook& b) { all(b.currency, b.entries); }
  void add(const EarlierPrices& e) { all(e.book, e.until); }
  void add(const Seat& s) {
    all(s.key, s.worker, s.incarnation, s.device, s.memory_bytes, s.threads, s.share_ppm,
        s.device_price_per_hour, s.funded_for, s.reserved, s.charged, s.used_charged, s.granted_at,
        s.slice_from, s.evidence_at, s.stopping, s.stop_cause, s.stopping_at);
  }
  void add(const Job& j) {
    all(j.id, j.project, j.name, j.display_name, j.request_id, j.labels, j.demand, j.submitter,
        j.state, j.cause, j.reason, j.attempt, j.state_actor, j.created_at, j.started_at,
        j.ended_at, j.state_at, j.running_since, j.ran, j.ran_at_resume, j.done, j.seats,
        j.next_seat, j.failures, j.last_failure, j.memory_peak_bytes, j.up_at, j.wasted,
        j.gang_wait, j.charged, j.reserved, j.spec, j.plan);
  }
  void add(const DeviceUse& u) { all(u.memory_bytes, u.threads, u.share_ppm, u.seats); }
  void add(const Worker& w) {
    all(w.id, w.join_file, w.name, w.labels, w.projects, w.spot, w.price_per_hour, w.public_key,
        w.state, w.reason, w.draining, w.removing, w.incarnation, w.machine, w.reports_processed,
        w.registered_at, w.state_at, w.use, w.seats, w.busy, w.busy_since, w.lost_at,
        w.device_prices, w.slice_from, w.jobs_in_slice, w.jobs_later, w.total, w.jobs, w.lost);
  }
  void add(const BusySpan& b) { all(b.from, b.until); }
  void add(const Project& p) { all(p.name, p.created_at, p.charged); }
  void add(const Token& t) {
    all(t.id, t.hash, t.role, t.project, t.name, t.expires, t.created_at, t.revoked_at);
  }
  void add(const JoinFile& f) {
    all(f.id, f.uses, f.used, f.expires, f.name, f.projects, f.may_set_price, f.created_at,
        f.revoked_at);
  }

 private:
  template <class Range>
  void range(const Range& values) {
    mix(values.size());
    for (const auto& value : values) add(value);
  }

  std::uint64_t value_ = 0x6f7665727769ULL;
};

}  // namespace

std::uint64_t digest(const ClusterState& s) {
  Hasher hasher;
  hasher.all(s.cluster, s.seed, s.last_time, s.prices, s.earlier_prices, s.prices_source,
             s.prices_set_at, s.projects, s.tokens, s.join_files, s.workers, s.jobs, s.next_job,
             s.next_worker, s.next_token, s.next_join_file, s.jobs_by_name, s.jobs_by_request_id,
             s.workers_by_key, s.workers_by_name);
  return hasher.value();
}

}  // namespace overwinter::core
