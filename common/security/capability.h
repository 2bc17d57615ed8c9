// Artifact capabilities (TRUST §2): what one worker may read and write for one attempt, signed by
// the coordinator with Ed25519, so that a worker cannot make one for another.
//
// Text form: `owc1_` + base64url(body) + "." + base64url(signature over "overwinter capability 1\0"
// + body). Body, numbers big-endian: end (i64, ms since 1970), attempt (u64), flags (u8: 1 = may
// write tiles), then holder, project and job each as length (u8) and bytes, then count (u8) and the
// digests of 32 bytes each. Nothing may follow. One capability has exactly one spelling. The
// longest is 4 KiB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter {

inline constexpr std::size_t kCapabilityBlobsMax = 64;
inline constexpr std::size_t kCapabilityBytesMax = 4096;

struct Capability {
  std::string holder;   // the id in the worker's certificate, 1 to 64 bytes
  std::string project;  // of the blobs, 1 to 128 bytes
  std::string job;      // 1 to 128 bytes
  std::uint64_t attempt = 0;
  std::vector<Digest> read;  // blobs that may be read, at most kCapabilityBlobsMax
  bool write_tiles = false;  // may hand in tiles of `job` for `attempt`
  Time end{};                // good before this time

  friend bool operator==(const Capability&, const Capability&) = default;
};

[[nodiscard]] bool may_read(const Capability& capability, const Digest& blob);

// Checks capabilities by the coordinator's public key. Copyable, thread-safe.
class CapabilityVerifier {
 public:
  // SubjectPublicKeyInfo in PEM. INVALID_ARGUMENT when it is no Ed25519 key.
  [[nodiscard]] static Result<CapabilityVerifier> from_public_key(std::string_view pem);

  // The capability, if it is whole, signed by us, not past its end and `holder` is who shows it
  // (the id of its certificate). UNAUTHENTICATED when it is not ours, PERMISSION_DENIED when it is
  // another's or ended.
  [[nodiscard]] Result<Capability> verify(std::string_view text, std::string_view holder,
                                          Time now) const;
  // The same whoever shows it: for callers that look at the holder themselves.
  [[nodiscard]] Result<Capability> verify(std::string_view text, Time now) const;

 private:
  friend class CapabilitySigner;
  struct Key;
  explicit CapabilityVerifier(std::shared_ptr<const Key> key);
  std::shared_ptr<const Key> key_;
};

// The coordinator's side. Copyable, thread-safe.
class CapabilitySigner {
 public:
  // The key in `path` (PKCS#8 PEM, 0600); made there when there is none. FAILED_PRECONDITION when
  // others can read it or it is no Ed25519 key.
  [[nodiscard]] static Result<CapabilitySigner> open(const std::filesystem::path& path);

  // INVALID_ARGUMENT when a part is longer than it may be.
  [[nodiscard]] Result<std::string> sign(const Capability& capability) const;
  [[nodiscard]] const CapabilityVerifier& verifier() const { return verifier_; }
  [[nodiscard]] Result<std::string> public_key_pem() const;

 private:
  explicit CapabilitySigner(CapabilityVerifier verifier) : verifier_(std::move(verifier)) {}
  CapabilityVerifier verifier_;  // its key is the private one
};

}  // namespace overwinter
