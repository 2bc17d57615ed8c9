#include "coordinator/core/cluster_state.h"

#include <algorithm>
#include <numeric>

#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

bool same_bytes(const SharedBytes& a, const SharedBytes& b) {
  if (a == b) return true;
  const std::string empty;
  return (a ? *a : empty) == (b ? *b : empty);
}

template <class Map, class Key>
auto* find_in(const Map& map, const Key& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

// Weights of the devices by the book, or ones where the book knows none of them.
std::vector<Money> spread(Money price, const std::vector<Money>& weights) {
  __extension__ typedef __int128 Wide;
  Wide sum = 0;
  for (const Money w : weights) sum += w.micros;
  std::vector<Money> out(weights.size());
  Wide before = 0;
  Wide weight_before = 0;
  const Wide count = static_cast<Wide>(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weight_before += sum == 0 ? 1 : weights[i].micros;
    const Wide until = Wide{price.micros} * weight_before / (sum == 0 ? count : sum);
    out[i].micros = static_cast<std::int64_t>(until - before);
    before = until;
  }
  return out;
}

// How much an end tells of what went wrong: the seat that failed, before one that was lost, before
// those that ended because of it.
int weight(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFailed:
      return 5;
    case SeatEnd::kRefused:
      return 4;
    case SeatEnd::kLost:
      return 3;
    case SeatEnd::kLeaving:
    case SeatEnd::kFundsEnded:
      return 2;
    case SeatEnd::kPeerLost:
      return 1;
    case SeatEnd::kFinished:
    case SeatEnd::kCompleted:
      return 0;
  }
  return 0;
}

}  // namespace

ledger::Charge waited_for_gang(const Job& job, const Seat& seat, Duration used,
                               ledger::Charge charged) {
  if (!job.gang()) return {};
  if (!job.up_at) return charged;
  const Duration waited = std::clamp(*job.up_at - seat.granted_at, Duration(0), used);
  return std::min(charged, ledger::charge_for(seat.device_price_per_hour, waited, seat.share_ppm));
}

bool outweighs(SeatEnd a, SeatEnd b) {
  return weight(a) > weight(b);
}

bool operator==(const Job& a, const Job& b) {
  return static_cast<const JobRecord&>(a) == static_cast<const JobRecord&>(b) &&
         same_bytes(a.spec, b.spec) && same_bytes(a.plan, b.plan);
}

const Seat* Job::find_seat(SeatKey key) const {
  const Seat* seat = key.job == id ? find_in(seats, key.number) : nullptr;
  return seat != nullptr && seat->key == key ? seat : nullptr;
}

const Job* ClusterState::find_job(JobId id) const {
  return find_in(jobs, id);
}
const Worker* ClusterState::find_worker(WorkerId id) const {
  return find_in(workers, id);
}
const Seat* ClusterState::find_seat(SeatKey key) const {
  const Job* job = find_job(key.job);
  return job == nullptr ? nullptr : job->find_seat(key);
}

const ledger::PriceBook& prices_at(const ClusterState& state, Time at) {
  for (const EarlierPrices& earlier : state.earlier_prices) {
    if (at < earlier.until) return earlier.book;
  }
  return state.prices;
}

std::optional<Time> next_price_change(const ClusterState& state, Time at) {
  for (const EarlierPrices& earlier : state.earlier_prices) {
    if (at >= earlier.until) continue;
    return std::min(earlier.until, earlier.book.next_change(at).value_or(earlier.until));
  }
  return state.prices.next_change(at);
}

Time next_cut(const ClusterState& state, Time at) {
  Time next = next_month_start(at);
  if (planted(Bug::kMonthCutSkipped)) next += std::chrono::hours(24 * 3650);
  if (planted(Bug::kPriceCutSkipped)) return next;
  const auto change = next_price_change(state, at);
  return change ? std::min(next, *change) : next;
}

std::vector<Money> device_prices(const ClusterState& state, const Worker& worker, Time at) {
  const std::string* supplier = find_in(worker.labels, "supplier");
  const ledger::PriceBook& book = prices_at(state, at);
  std::vector<Money> prices;
  prices.reserve(worker.machine.devices.size());
  for (const DeviceInfo& device : worker.machine.devices) {
    const auto entry =
        book.find(at, device.kind, supplier == nullptr ? "" : *supplier, worker.spot);
    prices.push_back(entry ? entry->per_hour : Money{});
  }
  return worker.price_per_hour ? spread(*worker.price_per_hour, prices) : prices;
}

Duration machine_minimum(const ClusterState& state, const Worker& worker, Time at) {
  const std::string* supplier = find_in(worker.labels, "supplier");
  const ledger::PriceBook& book = prices_at(state, at);
  Duration longest{0};
  for (const DeviceInfo& device : worker.machine.devices) {
    const auto entry =
        book.find(at, device.kind, supplier == nullptr ? "" : *supplier, worker.spot);
    if (entry) longest = std::max(longest, entry->minimum);
  }
  return longest;
}

Money machine_price(const Worker& worker) {
  if (worker.machine.devices.empty()) return worker.price_per_hour.value_or(Money{});
  return std::accumulate(worker.device_prices.begin(), worker.device_prices.end(), Money{});
}

}  // namespace overwinter::core
