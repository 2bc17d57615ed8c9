// Content digests. A blob's digest is SHA-256 over the concatenated SHA-256 values of its 1 MiB
// chunks (the last may be shorter; an empty blob has none), so that chunks can be hashed by several
// threads and in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/base/bytes.h"

namespace overwinter::formats {

inline constexpr std::uint64_t kDigestChunkBytes = kMiB;

[[nodiscard]] Digest sha256(std::span<const std::byte> data);

// A blob's digest from the plain sha256 of each of its chunks, in order.
[[nodiscard]] Digest digest_of_chunks(std::span<const Digest> chunks);

// A blob's digest, fed in pieces of any size. Not thread-safe.
class BlobDigester {
 public:
  BlobDigester();
  ~BlobDigester();
  BlobDigester(BlobDigester&&) noexcept;
  BlobDigester& operator=(BlobDigester&&) noexcept;

  void update(std::span<const std::byte> data);
  // Bytes fed so far.
  [[nodiscard]] std::uint64_t size_bytes() const;
  // Call once; the digester is spent afterwards.
  [[nodiscard]] Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace overwinter::formats
