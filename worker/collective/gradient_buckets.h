// Reduces a flat gradient in pieces, from its end to its beginning, while backward still makes what
// lies before.
//
//   gradient  [ wte | h.0 | h.1 | ln_f ]      backward makes ln_f, then h.1, h.0, wte
//   buckets   [  3  |  2  |  1  |   0  ]      bucket 0 is begun once all of it is final, and so on
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "worker/collective/collective.h"

namespace overwinter::worker {

inline constexpr std::size_t kBucketFloats = (std::size_t{1} << 20) / sizeof(float);

// For a step at a time. Collective and gradient outlive it. All ranks make the same calls; an error
// is final.
class GradientBuckets {
 public:
  GradientBuckets(Collective& collective, std::span<float> gradient,
                  std::size_t bucket_floats = kBucketFloats);
  // Again from the end, for the next step; the first needs no call.
  void begin_step();
  // Everything from `offset` on is final: begins what is whole. Offsets only fall.
  Status final_from(std::size_t offset);
  // Everything is final: begins the rest and waits for all. Afterwards the gradient is the sum.
  Status finish();

 private:
  Status begin(std::size_t from);

  Collective& collective_;
  std::span<float> gradient_;
  const std::size_t bucket_floats_;
  std::size_t begun_from_;
  std::vector<std::unique_ptr<Collective::Pending>> pending_;  // its room stays
};

}  // namespace overwinter::worker
