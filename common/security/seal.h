// Sealing at rest (TRUST §4): AES-256-GCM under a key in a file of its own.
//
// A sealed text, format 1: u8 1, 8 bytes that tell its key from others, 12 random bytes (the
// nonce), the content, 16 bytes of tag. The tag covers all of it and what it is bound to.
// The key's file: "overwinter-sealing-key 1 " and 32 bytes in base64url, one line.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

inline constexpr std::size_t kSealBytes = 37;  // what a sealed text has beside its content

// Copyable, thread-safe.
class Sealer {
 public:
  // NOT_FOUND: there is no such file. FAILED_PRECONDITION: others can read it, or it holds no key.
  [[nodiscard]] static Result<Sealer> open(const std::filesystem::path& key_file);
  // A new key into a file that is not there, 0600, durable before it is used.
  [[nodiscard]] static Result<Sealer> create(const std::filesystem::path& key_file);

  // `bound`: what it belongs to (a name); unseal() takes it with the same alone.
  [[nodiscard]] Result<std::string> seal(std::string_view content, std::string_view bound) const;
  // FAILED_PRECONDITION: sealed with another key. INTERNAL: damaged, or bound to something else.
  // Neither says anything of the content.
  [[nodiscard]] Result<std::string> unseal(std::string_view sealed, std::string_view bound) const;

 private:
  struct Key;
  explicit Sealer(std::shared_ptr<const Key> key) : key_(std::move(key)) {}
  [[nodiscard]] static Result<Sealer> of_key(std::string_view bytes);
  std::shared_ptr<const Key> key_;
};

}  // namespace overwinter
