#include "tests/simulation/scenario.h"

#include <fmt/format.h>

#include "common/base/bytes.h"
#include "tests/simulation/random.h"

namespace overwinter::simulation {
namespace {

// The last days of November 2026: runs cross the end of a month.
constexpr Ms kMonthEndUnixMs = 1'796'083'200'000;  // 2026-12-01T00:00:00Z
constexpr Ms kSecond = 1000;
constexpr Ms kMinute = 60 * kSecond;

WorkerPlan draw_worker(Random& random, std::size_t index) {
  WorkerPlan plan;
  plan.machine.host_id =
      fmt::format("host-{}", random.between(0, static_cast<std::int64_t>(index)));
  plan.machine.host_name = plan.machine.host_id;
  plan.machine.version = "0.1.0";
  if (random.chance(0.7)) {
    plan.machine.network = random.chance(0.7) ? "10.0.0.0/24" : "10.0.1.0/24";
    // Some share one, as containers on their machine's network do.
    plan.machine.peer_address = fmt::format("10.0.0.{}:7610", index % 4 == 3 ? index - 1 : index);
    plan.machine.shared_network = random.chance(0.3);
  }
  const std::int64_t devices = random.chance(0.3) ? 2 : 1;
  for (std::int64_t i = 0; i < devices; ++i) {
    DeviceInfo device;
    device.kind = "cpu";
    // The first worker fits every job, so that each can end.
    const std::int64_t mib = index == 0 && i == 0 ? 1024 : random.between(1, 16) * 64;
    device.memory_bytes = static_cast<std::uint64_t>(mib) * kMiB;
    device.threads = static_cast<std::uint32_t>(random.between(1, 4));
    device.gflops_fp32 = static_cast<double>(random.between(10, 100));
    plan.machine.devices.push_back(device);
  }
  plan.join_at = index == 0 && random.chance(0.7) ? 0 : random.between(0, 2 * kMinute);
  plan.speed = static_cast<double>(random.between(2, 20)) / 10;
  plan.lies = index != 0 && random.chance(0.1);
  plan.spot = index != 0 && random.chance(0.2);
  plan.hangs = random.chance(0.15);
  return plan;
}

JobPlan draw_job(Random& random) {
  JobPlan plan;
  plan.submit_at = random.between(0, 4 * kMinute);
  plan.project = random.chance(0.7) ? "default" : "other";
  plan.unit_ms = random.between(5, 800);
  Demand& d = plan.demand;
  d.device_kind = random.chance(0.5) ? "any" : "cpu";
  d.units = static_cast<std::uint64_t>(random.chance(0.05) ? 0 : random.between(1, 120));
  d.units_per_range_max = static_cast<std::uint64_t>(random.between(1, 8));
  d.memory_bytes = static_cast<std::uint64_t>(random.between(1, 15)) * 64 * kMiB;
  d.threads = random.chance(0.5) ? 0 : 1;
  d.seats_max = static_cast<std::uint32_t>(random.between(1, 6));
  d.landing = random.chance(0.8) ? Landing::kArtifact : Landing::kReport;
  d.stop_time = Duration(random.between(200, 3000));
  if (random.chance(0.5)) d.cap = Money{random.between(500, 40'000)};
  if (random.chance(0.1)) {
    // Longer than the slowest worker needs for a unit, or a resumed job would never end.
    d.time_limit = Duration(random.between(2, 40) * kSecond + 10 * plan.unit_ms);
  }
  d.priority = static_cast<Priority>(random.between(1, 3));
  d.spot = random.chance(0.8) ? SpotUse::kAllowed : SpotUse::kNever;
  return plan;
}

JobPlan draw_gang(Random& random) {
  JobPlan plan = draw_job(random);
  Demand& d = plan.demand;
  d.transport = Transport::kGang;
  d.landing = Landing::kReport;
  d.units = 1;
  d.seats_min = static_cast<std::uint32_t>(random.chance(0.5) ? 1 : 2);
  d.seats_max = d.seats_min + static_cast<std::uint32_t>(random.between(0, 3));
  d.retries = static_cast<std::uint32_t>(random.between(0, 3));
  d.stop_time = Duration(random.between(1500, 5000));
  d.stall_timeout = Duration(random.between(5, 40) * kSecond);
  d.start_timeout = Duration(random.between(5, 30) * kSecond);
  d.spot = SpotUse::kAllowed;
  plan.gang.step_ms = random.between(20, 300);
  plan.gang.steps = static_cast<std::uint64_t>(random.between(1, 400));
  plan.gang.checkpoint_every = static_cast<std::uint64_t>(random.between(3, 40));
  if (random.chance(0.3)) plan.gang.rank_fails = 0.02;
  if (random.chance(0.2)) plan.gang.rank_hangs = 0.005;
  if (random.chance(0.3)) plan.gang.launch_fails = 0.1;
  return plan;
}

Ms sometimes(Random& random, double chance, Ms low, Ms high) {
  return random.chance(chance) ? random.between(low, high) : 0;
}

}  // namespace

ledger::PriceBook draw_prices(std::uint64_t seed, Ms around_unix_ms) {
  Random random(seed);
  ledger::PriceBook book;
  const std::int64_t changes = random.between(1, 3);
  for (std::int64_t i = 0; i < changes; ++i) {
    ledger::PriceEntry entry;
    const Ms from = i == 0 ? 0 : around_unix_ms + random.between(0, 5 * kMinute);
    entry.from = time_from_unix_ms(from);
    entry.device = "cpu";
    entry.supplier = "any";
    entry.per_hour = Money{random.between(10'000, 4'000'000)};
    if (random.chance(0.3)) entry.minimum = Duration(random.between(1, 60) * kMinute);
    book.entries.push_back(entry);
    entry.spot = true;
    entry.per_hour = Money{random.between(1'000, 400'000)};
    book.entries.push_back(entry);
  }
  return book;
}

Scenario draw_scenario(std::uint64_t seed) {
  Random random(seed ^ 0x6F7665727769ULL);
  Scenario s;
  s.seed = seed;
  s.start_unix_ms = kMonthEndUnixMs - random.between(0, 6 * kMinute);
  s.faults_until = random.between(3, 8) * kMinute;
  const std::int64_t workers = random.between(1, 8);
  for (std::int64_t i = 0; i < workers; ++i) {
    s.workers.push_back(draw_worker(random, static_cast<std::size_t>(i)));
  }
  const std::int64_t jobs = random.between(1, 16);
  const double gangs = random.chance(0.5) ? 0.4 : 0;
  for (std::int64_t i = 0; i < jobs; ++i) {
    s.jobs.push_back(random.chance(gangs) ? draw_gang(random) : draw_job(random));
  }
  if (gangs > 0) {  // the first two fit every gang, and are one host
    if (s.workers.size() < 2) s.workers.push_back(draw_worker(random, 1));
    WorkerPlan& second = s.workers[1];
    second.machine.host_id = s.workers[0].machine.host_id;
    second.machine.devices[0] = s.workers[0].machine.devices[0];
    second.lies = false;
  }
  const std::int64_t books = random.between(1, 3);
  for (std::int64_t i = 0; i < books; ++i)
    s.books.push_back(draw_prices(random.next(), s.start_unix_ms));
  s.coordinator_crash_every = sometimes(random, 0.7, 10 * kSecond, 2 * kMinute);
  s.worker_crash_every = sometimes(random, 0.6, 10 * kSecond, 3 * kMinute);
  s.disconnect_every = sometimes(random, 0.7, 5 * kSecond, kMinute);
  s.partition_every = sometimes(random, 0.5, 10 * kSecond, 2 * kMinute);
  s.freeze_every = sometimes(random, 0.4, 20 * kSecond, 2 * kMinute);
  s.person_acts_every = sometimes(random, 0.8, 2 * kSecond, kMinute);
  s.operator_acts_every = sometimes(random, 0.6, 10 * kSecond, 2 * kMinute);
  s.commit_fails = random.chance(0.3) ? 0.005 : 0;
  s.duplicate = random.chance(0.6) ? 0.1 : 0;
  s.ghost = random.chance(0.5) ? 0.5 : 0;
  s.delay_max = random.between(1, 200);
  s.config.forget_after = Duration(random.between(5, 600) * kSecond);
  s.result_refused = random.chance(0.3) ? 0.1 : 0;
  return s;
}

}  // namespace overwinter::simulation
