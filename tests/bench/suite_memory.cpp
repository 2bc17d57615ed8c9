// The pool beside glibc's malloc and jemalloc, on a trace of a training's memory; what a warm
// device saves a seat.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <vector>

#include "common/base/bytes.h"
#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"
#include "tests/bench/trace_side.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/pool_resource.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kRuns = 7;
constexpr double kOfMalloc = 3;
constexpr double kOfJemalloc = 1.5;
constexpr double kHeldMost = 1.05;
constexpr std::size_t kSeatPieces = 10;
constexpr std::size_t kSeatPieceBytes = 4 * kMiB;

struct Alignment {
  std::uint32_t bytes;
  const char* what;
};
constexpr std::array<Alignment, 2> kAlignments{
    {{worker::kDefaultAlignment, "blocks aligned as a MemoryResource's are (64)"},
     {1, "blocks aligned as they were asked for (the heap's: 16)"}}};

struct Sides {
  std::vector<double> pool, malloc, jemalloc, loop, held, again;
};

// Each without what the replay itself takes, which was measured beside it.
Result<Sides> play_all(const std::string& trace, std::uint32_t alignment, std::size_t runs) {
  Sides sides;
  for (std::size_t i = 0; i < runs && !interrupted(); ++i) {
    const auto loop = trace_play(trace, Allocator::kNothing, alignment);
    if (!loop) return fail(loop.error());
    const auto ours = trace_play(trace, Allocator::kPool, alignment);
    if (!ours) return fail(ours.error());
    const auto glibc = trace_play(trace, Allocator::kMalloc, alignment);
    if (!glibc) return fail(glibc.error());
    const auto other = trace_play(trace, Allocator::kJemalloc, alignment);
    if (!other) return fail(other.error());
    say(fmt::format("memory: run {}: loop {:.2f}, pool {:.2f}, malloc {:.2f}, jemalloc {:.2f} ns",
                    i, loop->ns_a_move, ours->ns_a_move, glibc->ns_a_move, other->ns_a_move));
    sides.loop.push_back(loop->ns_a_move);
    sides.pool.push_back(ours->ns_a_move - loop->ns_a_move);
    sides.malloc.push_back(glibc->ns_a_move - loop->ns_a_move);
    sides.jemalloc.push_back(other->ns_a_move - loop->ns_a_move);
    sides.held.push_back(ours->held_share);
    sides.again.push_back(ours->again_calls);
  }
  if (sides.pool.empty()) return fail(Code::kCancelled, "interrupted");
  return sides;
}

Row beside(const Sides& sides, const std::vector<double>& peer, const char* peer_name,
           const Alignment& alignment, double wanted) {
  Row row;
  row.name = fmt::format("a move of a training's trace, 2 threads, {}", alignment.what);
  row.unit = "ns of the processor";
  row.ours = summarize(sides.pool);
  row.peer_name = peer_name;
  row.peer = summarize(peer);
  row.ratio = row.peer->median / row.ours.median;
  row.target = fmt::format("at least {} of the peer", wanted);
  row.met = *row.ratio >= wanted;
  row.note = fmt::format("without the replay's own {:.2f} ns", summarize(sides.loop).median);
  return row;
}

// A seat of a product takes its panels and tiles, writes them, and gives them back.
double seat_ms(worker::MemoryResource& resource) {
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<worker::Buffer> pieces;
    for (std::size_t i = 0; i < kSeatPieces; ++i) {
      auto piece = worker::Buffer::make(resource, kSeatPieceBytes);
      if (!piece) return 0;
      for (std::size_t at = 0; at < kSeatPieceBytes; at += 4096) piece->data()[at] = std::byte{1};
      pieces.push_back(std::move(*piece));
    }
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

Row seats(std::size_t runs) {
  worker::HostResource host;
  worker::PoolResource pool(host, {.keep_bytes = 256 * kMiB});
  std::vector<double> warm;
  std::vector<double> cold;
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {
    const double a = seat_ms(pool);
    const double b = seat_ms(host);
    if (i == 0) continue;
    warm.push_back(a);
    cold.push_back(b);
  }
  Row row;
  row.name = "a seat's 40 MiB taken, each page written, given back: a warm device";
  row.unit = "ms";
  row.ours = summarize(warm);
  row.peer_name = "from the system each time";
  row.peer = summarize(cold);
  row.ratio = row.peer->median / row.ours.median;
  return row;
}

}  // namespace

Result<SuiteReport> run_memory(const Settings& settings) {
  SuiteReport report;
  const std::size_t runs = settings.runs.value_or(kRuns);
  const std::string trace = (std::filesystem::path(settings.bin) / "training.trace").string();
  for (const Alignment& alignment : kAlignments) {
    const auto sides = play_all(trace, alignment.bytes, runs);
    if (!sides) return fail(sides.error());
    report.rows.push_back(beside(*sides, sides->malloc, "glibc malloc", alignment, kOfMalloc));
    report.rows.push_back(beside(*sides, sides->jemalloc, "jemalloc", alignment, kOfJemalloc));
    if (alignment.bytes == 1) continue;
    Row held;
    held.name = "the most it held, of the most that was live at once, moves in their order";
    held.unit = "share";
    held.ours = summarize(sides->held);
    held.target = fmt::format("at most {}", kHeldMost);
    held.met = held.ours.max <= kHeldMost;
    held.note = fmt::format("{:.0f} calls to the system in 128 further plays by 2 threads",
                            summarize(sides->again).max);
    report.rows.push_back(held);
  }
  report.rows.push_back(seats(3 * runs));
  return report;
}

}  // namespace overwinter::bench
