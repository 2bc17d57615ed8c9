// simulate --seed N | --seeds K [--from N]: replays runs, prints what broke and how fast it went.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "tests/simulation/world.h"

int main(int argc, char** argv) {
  using namespace overwinter::simulation;
  std::uint64_t from = 1;
  std::uint64_t count = 1;
  int bug = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0 || std::strcmp(argv[i], "--from") == 0) {
      from = value;
    } else if (std::strcmp(argv[i], "--seeds") == 0) {
      count = value;
    } else if (std::strcmp(argv[i], "--bug") == 0) {
      bug = static_cast<int>(value);
    } else {
      fmt::print(stderr, "simulate: unknown option {}\n", argv[i]);
      return 2;
    }
  }
  overwinter::core::planted_bug = static_cast<overwinter::core::Bug>(bug);
  std::uint64_t events = 0;
  int failures = 0;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    try {
      events += World(draw_scenario(seed)).run().events;
    } catch (const Violation& v) {
      fmt::print("seed {}: {}\n", seed, v.what());
      ++failures;
      std::fflush(stdout);
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double cpu = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  fmt::print(
      "{} seeds, {} events, {:.1f} s, {:.0f} events a second ({:.1f} s and {:.0f} of processor), "
      "{} failures\n",
      count, events, seconds, static_cast<double>(events) / seconds, cpu,
      static_cast<double>(events) / cpu, failures);
  return failures == 0 ? 0 : 1;
}
