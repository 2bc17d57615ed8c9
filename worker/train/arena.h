// The memory of a rank of a training: one piece of a MemoryResource, cut as common/plan's list
// says.
#pragma once

#include <cstddef>
#include <vector>

#include "common/plan/train_memory.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Zeroed. Ends before its resource.
class Arena {
 public:
  // RESOURCE_EXHAUSTED when the resource (a seat) has not as much; its refusal has the numbers.
  [[nodiscard]] static Result<Arena> make(MemoryResource& resource, const plan::TrainRank& rank);

  // Where a piece begins; null when it has no bytes.
  template <class T>
  [[nodiscard]] T* piece(plan::TrainPiece piece) {
    return reinterpret_cast<T*>(at(piece));
  }
  [[nodiscard]] std::uint64_t bytes(plan::TrainPiece piece) const;

 private:
  [[nodiscard]] std::byte* at(plan::TrainPiece piece);

  Buffer memory_;
  std::vector<std::uint64_t> sizes_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace overwinter::worker
