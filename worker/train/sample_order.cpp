#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;

}  // namespace

std::uint64_t next_random(std::uint64_t& state) {
  state += kStep;
  return mixed(state);
}

std::uint64_t random_key(std::uint64_t seed, std::uint64_t index) {
  return mixed(mixed(seed + kStep) + (index + 1) * kStep);
}

SampleOrder::SampleOrder(std::uint64_t count, std::optional<std::uint64_t> seed)
    : count_(count), seed_(seed) {
  while (half_bits_ < 32 && (std::uint64_t{1} << (2 * half_bits_)) < count_) ++half_bits_;
}

std::uint64_t SampleOrder::number_of_pass(std::uint64_t pass) const {
  return seed_ ? random_key(*seed_ ^ 0x5A5A5A5A5A5A5A5AULL, pass) : 0;
}

std::optional<std::uint64_t> sample_seed(const v1::TrainSpec& spec) {
  if (spec.data().order() == "sequential") return std::nullopt;
  return spec.seed();
}

SampleOrder::Place SampleOrder::place(std::uint64_t sample) const {
  Place place{sample / count_, sample % count_};
  if (!seed_) return place;
  const std::uint64_t key = random_key(*seed_, place.pass);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  // The network's domain is less than four times the count, so this ends after a few rounds.
  do {
    std::uint64_t left = place.index >> half_bits_;
    std::uint64_t right = place.index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const std::uint64_t next = left ^ (random_key(key + round, right) & mask);
      left = right;
      right = next;
    }
    place.index = left << half_bits_ | right;
  } while (place.index >= count_);
  return place;
}

}  // namespace overwinter::worker
