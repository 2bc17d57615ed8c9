#include "worker/collective/single_collective.h"

namespace overwinter::worker {
namespace {

class Done final : public Collective::Pending {
 public:
  Status wait() override { return Status::success(); }
};

}  // namespace

Status SingleCollective::all_reduce_sum(std::span<float> /*values*/) {
  return Status::success();
}

Status SingleCollective::all_reduce_sum(std::span<double> /*values*/) {
  return Status::success();
}

Result<std::unique_ptr<Collective::Pending>> SingleCollective::start_all_reduce_sum(
    std::span<float> /*values*/) {
  return std::make_unique<Done>();
}

Status SingleCollective::broadcast(std::span<std::byte> /*bytes*/, std::size_t root) {
  if (root != 0) return error(Code::kInvalidArgument, "There is no such rank to send from.");
  return Status::success();
}

Status SingleCollective::barrier() {
  return Status::success();
}

}  // namespace overwinter::worker
