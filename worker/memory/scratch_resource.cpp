#include "worker/memory/scratch_resource.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "common/base/check.h"
#include "worker/memory/poison.h"

namespace overwinter::worker {

ScratchResource::~ScratchResource() {
  const MutexLock lock(mutex_);
  check(live_ == 0, "a step's memory is given back before it ends");
  for (Buffer& piece : pieces_) unpoison(piece.data(), piece.size());
}

// Looks at later pieces too: those of the step before.
std::byte* ScratchResource::from_piece(std::size_t bytes, std::size_t alignment) {
  for (; piece_ < pieces_.size(); ++piece_, offset_ = 0) {
    Buffer& piece = pieces_[piece_];
    const auto at = reinterpret_cast<std::uintptr_t>(piece.data()) + offset_;
    const std::size_t gap = (alignment - at % alignment) % alignment;
    const std::size_t left = piece.size() - offset_;
    if (gap > left || bytes > left - gap) continue;
    offset_ += gap + bytes;
    return piece.data() + offset_ - bytes;
  }
  return nullptr;
}

Result<void*> ScratchResource::allocate(std::size_t bytes, std::size_t alignment) {
  check(std::has_single_bit(alignment), "alignment is a power of two");
  if (bytes == 0) return nullptr;
  const MutexLock lock(mutex_);
  const std::pair before(piece_, offset_);
  std::byte* memory = from_piece(bytes, alignment);
  if (memory == nullptr) {
    auto piece = Buffer::make(upstream_, std::max(bytes, piece_bytes_),
                              std::max(alignment, kDefaultAlignment));
    if (!piece) {
      std::tie(piece_, offset_) = before;
      return fail(piece.error());
    }
    poison(piece->data(), piece->size());
    pieces_.push_back(std::move(*piece));
    memory = from_piece(bytes, alignment);
  }
  ++live_;
  unpoison(memory, bytes);
  return memory;
}

void ScratchResource::deallocate(void* memory, std::size_t bytes, std::size_t) noexcept {
  if (memory == nullptr) return;
  const MutexLock lock(mutex_);
  check(live_ > 0, "what is given back was taken here, and once");
  poison(memory, bytes);
  if (--live_ == 0) {
    piece_ = 0;
    offset_ = 0;
  } else if (piece_ < pieces_.size() &&
             static_cast<std::byte*>(memory) + bytes == pieces_[piece_].data() + offset_) {
    offset_ -= bytes;
  }
}

std::size_t ScratchResource::held_bytes() const {
  const MutexLock lock(mutex_);
  std::size_t held = 0;
  for (const Buffer& piece : pieces_) held += piece.size();
  return held;
}

}  // namespace overwinter::worker
