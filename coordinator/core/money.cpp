// Money: seats are funded before they use anything, billed for what they used, and cut where prices
// change.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

using ledger::Charge;
using ledger::charge_for;
using ledger::charge_of;

constexpr Duration kOutlived{5000};            // beyond funded_for, for the way of its last report
constexpr std::size_t kEarlierPricesMax = 16;  // books kept for open slices
constexpr std::int64_t kSecondSeatFactor =
    4;  // of the least funding: below it, one seat uses the cap better

// How long a charge lasts; very long when nothing costs.
Duration lasts(Charge amount, Money price, std::uint32_t share_ppm, Duration most) {
  const ledger::Int128 per_ms = charge_for(price, Duration(1), share_ppm).units;
  if (per_ms <= 0) return most;
  const ledger::Int128 ms = std::min<ledger::Int128>(most.count(), amount.units / per_ms);
  return Duration(static_cast<std::int64_t>(ms));
}

}  // namespace

std::optional<Charge> Engine::room(const Job& job) const {
  if (!job.demand.cap) return std::nullopt;
  return std::max(Charge{}, charge_of(*job.demand.cap) - job.charged - job.reserved);
}

std::optional<Duration> Engine::first_funding(const Job& job, Money price, std::uint32_t share_ppm,
                                              std::size_t seats) const {
  const Duration stop = job.demand.stop_time;
  const auto left = room(job);
  if (!left) return std::max(config_.funding_uncapped, config_.funding_min + stop);
  const Duration least = config_.funding_min + stop;
  const Duration most = config_.funding_capped + stop;
  const std::int64_t n = static_cast<std::int64_t>(seats) + 1;
  const Duration lasting = lasts(*left, price, share_ppm, most * kSecondSeatFactor * 2 * n);
  if (planted(Bug::kFundingAboveCap)) return most;
  if (lasting < least) return std::nullopt;
  if (seats > 0 && lasting < least * kSecondSeatFactor) return std::nullopt;
  return std::clamp(lasting / (2 * n), least, most);
}

bool Engine::broke(const Job& job) {
  const auto left = room(job);
  if (!left) return false;
  const Eligible& best = eligible(job.demand, job.project);
  if (!best.exists) return false;
  return left->units < best.per_ms.units * (config_.funding_min + job.demand.stop_time).count() *
                           seats_at_once(job.demand);
}

Duration Engine::used_about(const Seat& seat) const {
  const Duration elapsed = now_ - seat.granted_at;
  const SeatSoft* soft = find_soft(seat.key);
  if (soft == nullptr || !soft->known) return elapsed;
  return std::min(elapsed, soft->used + (now_ - soft->said_at));
}

void Engine::arm_funding(const Job& job, const Seat& seat, const SeatSoft& soft) {
  const Duration used = used_about(seat);
  const Duration work_left = seat.funded_for - job.demand.stop_time - used;
  Duration wait = work_left - soft.slice / 2;
  if (wait <= Duration::zero()) {  // not renewed: look again when it should have ended
    wait = std::max(Duration(1000), seat.funded_for - used + kOutlived);
  }
  timers_.set({TimerKind::kFund, seat.key.job.value(), seat.key.number}, now_ + wait);
}

void Engine::fund_due(SeatKey key) {
  const Seat* seat = state_.find_seat(key);
  if (seat == nullptr) return;
  const Job& of = job(key.job);
  SeatSoft& soft = seat_soft(key);
  if (soft.slice == Duration(0)) {  // granted before the start
    soft.slice = std::min(of.demand.cap ? config_.funding_capped : config_.funding_uncapped,
                          seat->funded_for - of.demand.stop_time);
  }
  if (!soft_.workers[seat->worker].connected) {  // its Hello comes back to this
    timers_.set({TimerKind::kFund, key.job.value(), key.number}, now_ + config_.lost_after);
    return;
  }
  const Duration used = used_about(*seat);
  // Its worker ends it by itself at the end of its funding; this one did not, or never answered the
  // offer.
  if (now_ - seat->granted_at >= seat->funded_for + kOutlived &&
      (!soft.began || soft.used >= seat->funded_for)) {
    fence(key, "it went on beyond what it was funded for and was cut off");
    return;
  }
  const bool due = seat->funded_for - of.demand.stop_time - used <= soft.slice / 2;
  if (due && !seat->stopping &&
      (of.state == JobState::kRunning || of.state == JobState::kStarting)) {
    if (!renew(of, *seat, soft)) out_of_budget(key.job);
  }
  arm_funding(of, *seat, soft);
}

bool Engine::renew(const Job& job, const Seat& seat, SeatSoft& soft) {
  Duration more = config_.funding_uncapped;
  if (const auto left = room(job)) {
    const std::int64_t seats = static_cast<std::int64_t>(job.seats.size());
    const Duration lasting = lasts(*left, seat.device_price_per_hour, seat.share_ppm,
                                   config_.funding_capped * 2 * seats);
    if (lasting < config_.funding_min && !planted(Bug::kFundingAboveCap)) return false;
    more = std::clamp(lasting / (2 * seats), config_.funding_min, config_.funding_capped);
  }
  const Duration total = seat.funded_for + more;
  emit(SeatFunded{seat.key, total,
                  seat.reserved + charge_for(seat.device_price_per_hour, more, seat.share_ppm),
                  std::nullopt});
  soft.slice = more;
  effect(FundSeat{seat.key, seat.worker, seat.incarnation, total});
  touch(job.id);
  return true;
}

std::string Engine::budget_reason(const Job& job) const {
  const std::string currency = " " + state_.prices.currency;
  std::string spent = format_money(rounded(job.charged)) + currency + " are spent";
  if (job.reserved > Charge{}) {
    spent += " and " + format_money(rounded(job.reserved)) + currency + " set aside for what runs";
  }
  return "its cap of " + format_money(*job.demand.cap) + currency +
         " funds no further second: " + spent + "; go on with: overwinter jobs update " + job.name +
         " --cap …, then overwinter jobs resume " + job.name;
}

// Its seats go on to the end of what they are funded for; a new one would pass the cap.
void Engine::out_of_budget(JobId id) {
  const Job& broke = job(id);
  waiting_.remove(id);
  unfit_.remove(id);
  set_state(id, broke.seats.empty() ? JobState::kPaused : JobState::kStopping, Cause::kBudget,
            budget_reason(broke));
}

// ---- billing

// Use since the seat began, as far as there is evidence of it.
Duration Engine::used_so_far(const Seat& seat) const {
  const SeatSoft* soft = find_soft(seat.key);
  const bool known = soft != nullptr && soft->known;
  const Duration used = known ? soft->used : seat.evidence_at - seat.granted_at;
  return std::min(used, seat.funded_for);
}

// Closes the open slice. Never below zero, never longer than the slice, never beyond the funding.
void Engine::bill(const Seat& seat, Duration used_total, Time to) {
  if (!planted(Bug::kUsedBeyondFunding)) used_total = std::min(used_total, seat.funded_for);
  Duration used = used_total - seat.used_charged;
  if (!planted(Bug::kUsedBeyondFunding)) used = std::min(used, to - seat.slice_from);
  used = std::max(used, Duration(0));
  if (planted(Bug::kDoubleCharge)) used *= 2;
  emit(UsageCharged{seat.key, seat.slice_from, to, used, seat.device_price_per_hour,
                    charge_for(seat.device_price_per_hour, used, seat.share_ppm)});
}

Time Engine::next_cut_after(Time from) const {
  return next_cut(state_, from);
}

void Engine::charge_machine(WorkerId id, Time to) {
  const Worker& machine = worker(id);
  if (const Time next = next_cut_after(machine.slice_from); next < to) {
    charge_machine(id, next);  // one that never connected has no timer of its own
    charge_machine(id, to);
    return;
  }
  const Duration length = std::max(Duration(0), to - machine.slice_from);
  const Charge total = charge_for(machine_price(machine), length, 1'000'000);
  const bool lost = machine.state == WorkerState::kLost;
  // Exactly what seats of it were charged for this time; a lost machine holds no seat.
  emit(MachineCharged{id, machine.slice_from, to, total, machine.jobs_in_slice,
                      lost ? total : Charge{}});
  touch(id);
  arm_cut(id);
}

// One that goes early costs as much as if it had stayed for the book's minimum: idle time.
void Engine::charge_minimum(WorkerId id) {
  const Worker& machine = worker(id);
  const Time end = machine.registered_at + machine_minimum(state_, machine, now_);
  if (end > machine.slice_from) charge_machine(id, end);
}

void Engine::arm_cut(WorkerId id) {
  const Worker& machine = worker(id);
  if (!machine.incarnation.valid()) return;  // its devices, and so its price, are not known yet
  const Time next = next_cut_after(machine.slice_from);
  soft_.workers[id].next_cut = next;
  timers_.set({TimerKind::kCut, id.value()}, std::max(next, now_ + Duration(1)));
}

// At the instant itself. What starts from here on pays the new price; the open slices of seats are
// cut by their words.
void Engine::cut_due(WorkerId id) {
  cut_if_due(id);
  ++epoch_;
  update_slots(id);
  timers_.set({TimerKind::kCut, id.value()}, next_cut_after(now_));
}

// Cuts the seats that have said enough, and then the machine if all have.
void Engine::cut_if_due(WorkerId id) {
  const auto soft = soft_.workers.find(id);
  if (soft == soft_.workers.end()) return;
  if (!soft->second.next_cut || *soft->second.next_cut > now_) return;
  const std::vector<SeatKey> keys(worker(id).seats.begin(), worker(id).seats.end());
  for (const SeatKey key : keys) cut_seat(key, std::nullopt);
  while (*soft->second.next_cut <= now_) {
    const Time at = *soft->second.next_cut;
    for (const SeatKey key : worker(id).seats) {
      if (state_.find_seat(key)->slice_from < at) return;
    }
    charge_machine(id, at);
    ++epoch_;  // the cheapest may be another now
    update_slots(id);
  }
}

// Its slice is filled from the front: the use before the cut is all that fits between the grant and
// it. So the slices sum to its last word exactly, as soon as it has used that much or has ended
// (`final_use`), however long messages are under way.
void Engine::cut_seat(SeatKey key, std::optional<Duration> final_use) {
  while (const Seat* seat = state_.find_seat(key)) {
    const Time at = next_cut_after(seat->slice_from);
    if (at > now_) return;
    const Duration fits = at - seat->granted_at;
    if (!final_use) {
      const SeatSoft* soft = find_soft(key);
      if (soft == nullptr || soft->said < fits) return;
    }
    bill(*seat, std::min(fits, final_use.value_or(fits)), at);
    reprice_seat(key, final_use.has_value());
    touch(key.job);
  }
}

// Of one that takes a seat now; the open slice of the machine may still have the old one.
Money Engine::price_now(const Worker& worker, DeviceIndex device) const {
  const auto soft = soft_.workers.find(worker.id);
  const bool old =
      soft != soft_.workers.end() && soft->second.next_cut && *soft->second.next_cut <= now_;
  const std::vector<Money> computed =
      old ? device_prices(state_, worker, now_) : std::vector<Money>{};
  const std::vector<Money>& prices = old ? computed : worker.device_prices;
  return device < prices.size() ? prices[device] : Money{};
}

// A rise that the cap does not cover is not passed on: the seat keeps its price and stops.
void Engine::reprice_seat(SeatKey key, bool ending) {
  const Seat* seat = state_.find_seat(key);
  const Money price = device_prices(state_, worker(seat->worker), seat->slice_from)[seat->device];
  if (price == seat->device_price_per_hour) return;
  const Duration rest = seat->funded_for - seat->used_charged;
  const Charge reserved = seat->charged + charge_for(price, rest, seat->share_ppm);
  const auto left = room(job(key.job));
  const bool rise = price > seat->device_price_per_hour;
  if (rise && (seat->stopping || (left && reserved > seat->reserved + *left))) {
    if (ending || seat->stopping) return;
    stop_seat(key, Cause::kBudget);
    const JobState state = job(key.job).state;
    if (state == JobState::kRunning || state == JobState::kStarting) out_of_budget(key.job);
    return;
  }
  emit(SeatFunded{key, seat->funded_for, reserved, price});
}

// In force from now on. Open slices are cut at this instant when it is known what they hold.
void Engine::on(const PriceBookSetRequested& event) {
  if (state_.earlier_prices.size() >= kEarlierPricesMax) {
    reply(event.reply,
          error(Code::kUnavailable,
                "prices were set " + std::to_string(kEarlierPricesMax) +
                    " times while workers had not yet said what their seats used before",
                {}, "try again in a minute"));
    return;
  }
  emit(PriceBookChanged{event.book, event.source, event.by.id});
  ++epoch_;
  for (const auto& [id, worker] : state_.workers) {
    if (worker.state == WorkerState::kRemoved || !worker.incarnation.valid()) continue;
    arm_cut(id);
    cut_if_due(id);
    // Granted in this very instant: there is nothing to cut, and the old price was never in force.
    const std::vector<SeatKey> keys(worker.seats.begin(), worker.seats.end());
    for (const SeatKey key : keys) {
      if (state_.find_seat(key)->slice_from == now_) reprice_seat(key, false);
    }
    update_slots(id);
    touch(id);
  }
  reply(event.reply, Status::success());
}

}  // namespace overwinter::core
