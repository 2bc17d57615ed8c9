// In which order a training sees its samples: by number alone, so that it can go on anywhere.
#pragma once

#include <cstdint>
#include <optional>

#include "overwinter/v1/job.pb.h"

namespace overwinter::worker {

// SplitMix64 (Steele, Lea, Flood 2014): the next number of a stream, and where stream `index` of a
// seed begins.
[[nodiscard]] std::uint64_t next_random(std::uint64_t& state);
[[nodiscard]] std::uint64_t random_key(std::uint64_t seed, std::uint64_t index);

// Samples are numbered through the whole training (common/plan/train_batch.h). A pass has each of
// `count` places once: in order, or with a seed in an order of its own, drawn from the seed: a
// permutation by a Feistel network that walks on until it is back inside (Black and Rogaway 2002),
// so nothing is stored.
class SampleOrder {
 public:
  // count: at least 1. Without a seed nothing is shuffled.
  SampleOrder(std::uint64_t count, std::optional<std::uint64_t> seed);

  struct Place {
    std::uint64_t pass = 0;
    std::uint64_t index = 0;  // below count
  };
  [[nodiscard]] Place place(std::uint64_t sample) const;
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // A number of that pass alone, for what else it wants to vary; 0 where nothing is shuffled.
  [[nodiscard]] std::uint64_t number_of_pass(std::uint64_t pass) const;

 private:
  std::uint64_t count_;
  std::optional<std::uint64_t> seed_;
  std::uint32_t half_bits_ = 1;
};

// The seed that a training shuffles with; nothing for `data.order: sequential`.
[[nodiscard]] std::optional<std::uint64_t> sample_seed(const v1::TrainSpec& spec);

}  // namespace overwinter::worker
