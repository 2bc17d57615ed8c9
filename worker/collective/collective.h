// Collective: what ranks of one gang do together. Implemented within one process (here) and over
// Open MPI (worker/gang); one suite of tests for all (tests/contract/collective_test.cpp).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "common/base/result.h"

namespace overwinter::worker {

// All ranks make the same calls in the same order with the same sizes, on host memory. One thread a
// rank. Errors are final: a rank that got one leaves the gang.
//
//   rank 0: values = {1, 2}            rank 0: values = {11, 22}
//   rank 1: values = {10, 20}    ->    rank 1: values = {11, 22}       all_reduce_sum(values)
class Collective {
 public:
  // A reduction under way. The values may not be touched before wait() has returned.
  class Pending {
   public:
    virtual ~Pending() = default;
    virtual Status wait() = 0;  // once
  };

  virtual ~Collective() = default;
  [[nodiscard]] virtual std::size_t rank() const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;

  // Sums over all ranks, in place. Every rank gets the same bits, and the same bits again for the
  // same inputs and the same number of ranks.
  virtual Status all_reduce_sum(std::span<float> values) = 0;
  virtual Status all_reduce_sum(std::span<double> values) = 0;
  // Begins one and returns: it makes progress while the caller computes and calls progress(), or in
  // wait(). Several may be under way; they are begun in the same order on all ranks. The object
  // outlives them.
  [[nodiscard]] virtual Result<std::unique_ptr<Pending>> start_all_reduce_sum(
      std::span<float> values) = 0;
  virtual void progress() {}
  // The root's bytes, to all.
  virtual Status broadcast(std::span<std::byte> bytes, std::size_t root) = 0;
  virtual Status barrier() = 0;
};

}  // namespace overwinter::worker
