#include "worker/train/arena.h"

#include <cstring>

namespace overwinter::worker {

Result<Arena> Arena::make(MemoryResource& resource, const plan::TrainRank& rank) {
  Arena arena;
  arena.sizes_ = plan::train_pieces(rank);
  std::uint64_t total = 0;
  for (const std::uint64_t size : arena.sizes_) {
    arena.offsets_.push_back(total);
    const std::uint64_t aligned = plan::train_aligned(size);
    // A sum that overflows asks for the most there is, and is refused by its resource.
    total = aligned > SIZE_MAX - total ? SIZE_MAX : total + aligned;
  }
  auto memory = Buffer::make(resource, total);
  if (!memory) return fail(memory.error());
  arena.memory_ = std::move(*memory);
  std::memset(arena.memory_.data(), 0, total);
  return arena;
}

std::uint64_t Arena::bytes(plan::TrainPiece piece) const {
  return sizes_[static_cast<std::size_t>(piece)];
}

std::byte* Arena::at(plan::TrainPiece piece) {
  const auto i = static_cast<std::size_t>(piece);
  return sizes_[i] == 0 ? nullptr : memory_.data() + offsets_[i];
}

}  // namespace overwinter::worker
