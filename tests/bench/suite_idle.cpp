// A coordinator with two workers and nothing to do.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/bench/cluster.h"
#include "tests/bench/commits.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

constexpr auto kSettle = std::chrono::seconds(5);
constexpr auto kWindow = std::chrono::seconds(30);
constexpr auto kStep = std::chrono::milliseconds(200);

void wait(std::chrono::seconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until && !interrupted()) {
    std::this_thread::sleep_for(kStep);
  }
}

// Size and time of the last change of each file of the store.
std::string files_of(const std::string& folder) {
  std::string out;
  std::error_code ignored;
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    // Readers of the log change its index of the WAL in shared memory, no durable file.
    if (entry.path().extension() == ".db-shm" || !entry.is_regular_file(ignored)) continue;
    all.push_back(fmt::format("{} {} {}\n", entry.path().filename().string(),
                              entry.file_size(ignored),
                              entry.last_write_time(ignored).time_since_epoch().count()));
  }
  std::sort(all.begin(), all.end());
  for (const std::string& line : all) out += line;
  return out;
}

struct Moment {
  std::uint64_t turn = 0;
  std::string files;
  ProcessUse use;
  std::chrono::steady_clock::time_point at;
};

Result<Moment> look(const Cluster& cluster) {
  Moment out;
  const std::string store = cluster.coordinator_folder() + "/store";
  out.files = files_of(store);
  const auto turn = last_turn(store);
  if (!turn) return fail(turn.error());
  const auto pid = cluster.pid("coordinator");
  if (!pid) return fail(pid.error());
  const auto use = process_use(*pid);
  if (!use) return fail(use.error());
  out.turn = *turn;
  out.use = *use;
  out.at = std::chrono::steady_clock::now();
  return out;
}

Row row_of(const std::string& name, const std::string& unit, const std::vector<double>& values,
           const std::string& target, double most) {
  Row row;
  row.name = name;
  row.unit = unit;
  row.ours = summarize(values);
  row.target = target;
  row.met = row.ours.max <= most;
  return row;
}

}  // namespace

Result<SuiteReport> run_idle(const Settings& settings) {
  say("idle: starting a coordinator and two workers");
  auto cluster = Cluster::up(settings, 2, "cpu:memory=512MiB,threads=1");
  if (!cluster) return fail(cluster.error());
  wait(kSettle);
  std::vector<double> turns;
  std::vector<double> changes;
  std::vector<double> cpu;
  std::vector<double> memory;
  for (std::size_t i = 0; i < settings.runs.value_or(1) && !interrupted(); ++i) {
    say(fmt::format("idle: watching for {} s", kWindow.count()));
    const auto before = look(**cluster);
    if (!before) return fail(before.error());
    wait(kWindow);
    const auto after = look(**cluster);
    if (!after) return fail(after.error());
    const double seconds = std::chrono::duration<double>(after->at - before->at).count();
    turns.push_back(static_cast<double>(after->turn - before->turn));
    changes.push_back(after->files == before->files ? 0 : 1);
    cpu.push_back((after->use.cpu_seconds - before->use.cpu_seconds) / seconds * 100);
    memory.push_back(after->use.resident_mib);
  }
  SuiteReport report;
  report.rows.push_back(
      row_of("turns committed in 30 s (the store's own numbers)", "turns", turns, "none", 0));
  report.rows.push_back(
      row_of("a store file grew or was written in 30 s (0: none)", "files", changes, "none", 0));
  report.rows.push_back(
      row_of("coordinator's share of a core", "%", cpu, "under 1 % of a core", 1));
  report.rows.push_back(row_of("coordinator's resident memory", "MiB", memory, "under 60 MiB", 60));
  report.rows[2].note = "the kernel counts in steps of 10 ms: 0.03 % of the window";
  return report;
}

}  // namespace overwinter::bench
