// Fixed and fresh seeds; same seed, same trace; how fast. A failure prints the seed and the command
// that replays it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <random>

#include "tests/simulation/world.h"

namespace overwinter::simulation {
namespace {

RunResult run_seed(std::uint64_t seed) {
  try {
    return World(draw_scenario(seed)).run();
  } catch (const Violation& v) {
    ADD_FAILURE() << "seed " << seed << ": " << v.what() << "\nreplay: simulate --seed " << seed;
    return {};
  }
}

std::uint64_t seeds_wanted(std::uint64_t otherwise) {
  const char* text = std::getenv("OVERWINTER_SEEDS");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, FixedSeeds) {
  std::uint64_t events = 0;
  std::uint64_t restarts = 0;
  const std::uint64_t seeds = seeds_wanted(1500);
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    const RunResult result = run_seed(seed);
    events += result.events;
    restarts += result.restarts;
  }
  const double cpu = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  fmt::print(
      "{} seeds, {} events, {} restarts of the coordinator, {:.0f} events a second of processor\n",
      seeds, events, restarts, static_cast<double>(events) / cpu);
}

TEST(Simulation, FreshSeeds) {
  std::random_device device;
  const std::uint64_t base = (std::uint64_t{device()} << 32) | device();
  fmt::print("fresh seeds from {}\n", base);
  for (std::uint64_t i = 0; i < seeds_wanted(100) && !HasFailure(); ++i) (void)run_seed(base + i);
}

TEST(Simulation, SameSeedSameTrace) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const RunResult first = run_seed(seed);
    const RunResult second = run_seed(seed);
    EXPECT_EQ(first.trace, second.trace) << rule::kSameTrace << ": seed " << seed;
    EXPECT_EQ(first.events, second.events) << seed;
  }
}

}  // namespace
}  // namespace overwinter::simulation
