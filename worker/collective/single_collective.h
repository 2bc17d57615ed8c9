// The collective of one rank: nothing to exchange.
#pragma once

#include "worker/collective/collective.h"

namespace overwinter::worker {

class SingleCollective final : public Collective {
 public:
  [[nodiscard]] std::size_t rank() const override { return 0; }
  [[nodiscard]] std::size_t size() const override { return 1; }
  Status all_reduce_sum(std::span<float> values) override;
  Status all_reduce_sum(std::span<double> values) override;
  [[nodiscard]] Result<std::unique_ptr<Pending>> start_all_reduce_sum(
      std::span<float> values) override;
  Status broadcast(std::span<std::byte> bytes, std::size_t root) override;
  Status barrier() override;
};

}  // namespace overwinter::worker
