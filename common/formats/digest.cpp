#include "common/formats/digest.h"

#include <algorithm>

#include "common/formats/running_hash.h"

namespace overwinter::formats {
Digest sha256(std::span<const std::byte> data) {
  RunningHash hash;
  hash.update(data);
  return hash.finish();
}

Digest digest_of_chunks(std::span<const Digest> chunks) {
  RunningHash hash;
  for (const Digest& chunk : chunks) hash.update(std::as_bytes(std::span(chunk.bytes)));
  return hash.finish();
}

struct BlobDigester::State {
  RunningHash whole;
  RunningHash chunk;
  std::uint64_t in_chunk = 0;
  std::uint64_t size_bytes = 0;

  void end_chunk() {
    const Digest digest = chunk.finish();
    whole.update(std::as_bytes(std::span(digest.bytes)));
    chunk.restart();
    in_chunk = 0;
  }
};

BlobDigester::BlobDigester() : state_(std::make_unique<State>()) {}
BlobDigester::~BlobDigester() = default;
BlobDigester::BlobDigester(BlobDigester&&) noexcept = default;
BlobDigester& BlobDigester::operator=(BlobDigester&&) noexcept = default;

void BlobDigester::update(std::span<const std::byte> data) {
  State& state = *state_;
  state.size_bytes += data.size();
  while (!data.empty()) {
    const auto take = static_cast<std::size_t>(
        std::min<std::uint64_t>(data.size(), kDigestChunkBytes - state.in_chunk));
    state.chunk.update(data.first(take));
    state.in_chunk += take;
    data = data.subspan(take);
    if (state.in_chunk == kDigestChunkBytes) state.end_chunk();
  }
}

std::uint64_t BlobDigester::size_bytes() const {
  return state_->size_bytes;
}

Digest BlobDigester::finish() {
  if (state_->in_chunk != 0) state_->end_chunk();
  return state_->whole.finish();
}

}  // namespace overwinter::formats
