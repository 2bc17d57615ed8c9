// Commits a second and their times, beside plain SQLite in the same file system.
#include <fmt/format.h>

#include "tests/bench/cluster.h"
#include "tests/bench/commits.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kCommits = 2000;
constexpr std::size_t kBlock = 100;  // of one side, then of the other
constexpr std::size_t kGroup = 16;

struct Sides {
  std::vector<double> ours;
  std::vector<double> peer;
};

Result<Sides> measure(TurnCommits& ours, PlainCommits& peer, std::size_t commits,
                      std::size_t turns) {
  Sides out;
  for (std::size_t i = 0; i < commits && !interrupted(); ++i) {
    const auto a = ours.commit(turns);
    if (!a) return fail(a.error());
    out.ours.push_back(*a);
    if (out.ours.size() % kBlock != 0) continue;
    for (std::size_t j = 0; j < kBlock; ++j) {
      const auto b = peer.commit(turns);
      if (!b) return fail(b.error());
      out.peer.push_back(*b);
    }
  }
  return out;
}

double per_second(const std::vector<double>& milliseconds, std::size_t turns) {
  double sum = 0;
  for (const double ms : milliseconds) sum += ms;
  return static_cast<double>(milliseconds.size() * turns) / sum * 1000;
}

void add_rows(SuiteReport& report, const Sides& sides, std::size_t turns) {
  const std::string of = turns == 1 ? "one turn" : fmt::format("{} turns", turns);
  const std::string peer = "plain SQLite, WAL, synchronous=FULL, rows of the same length";
  Row time;
  time.name = "commit of " + of;
  time.unit = "ms";
  time.ours = summarize(sides.ours);
  time.peer = summarize(sides.peer);
  time.peer_name = peer;
  time.ratio = time.peer->median / time.ours.median;
  report.rows.push_back(time);
  Row rate;
  rate.name = "turns a second, " + of + " a commit";
  rate.unit = "1/s";
  rate.ours = summarize({per_second(sides.ours, turns)});
  rate.peer = summarize({per_second(sides.peer, turns)});
  rate.peer_name = peer;
  rate.ratio = rate.ours.median / rate.peer->median;
  report.rows.push_back(rate);
}

}  // namespace

Result<SuiteReport> run_store(const Settings& settings) {
  const auto folder = Folder::make();
  if (!folder) return fail(folder.error());
  auto ours = TurnCommits::open(folder->path() + "/ours");
  if (!ours) return fail(ours.error());
  auto peer = PlainCommits::open(folder->path() + "/plain");
  if (!peer) return fail(peer.error());
  SuiteReport report;
  const std::size_t commits = std::max(settings.runs.value_or(kCommits), kBlock);
  for (const std::size_t turns : {std::size_t{1}, kGroup}) {
    say(fmt::format("store: {} commits of {} turns on each side", commits, turns));
    const auto sides = measure(**ours, **peer, commits, turns);
    if (!sides) return fail(sides.error());
    add_rows(report, *sides, turns);
  }
  return report;
}

}  // namespace overwinter::bench
