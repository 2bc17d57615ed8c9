// Plain SHA-256 of what comes in pieces: what `sha256sum` prints. A blob's digest is another one
// (digest.h).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "common/base/bytes.h"

namespace overwinter::formats {

// Not thread-safe.
class RunningHash {
 public:
  RunningHash();
  ~RunningHash();
  RunningHash(RunningHash&&) noexcept;
  RunningHash& operator=(RunningHash&&) noexcept;

  void update(std::span<const std::byte> data);
  // Spent afterwards, until restart().
  [[nodiscard]] Digest finish();
  void restart();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace overwinter::formats
