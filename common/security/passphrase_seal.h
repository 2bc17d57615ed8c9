// Sealing under a passphrase, for what leaves the machine (the keys of a backup).
//
// A sealed text, format 1: "OWP1", 16 random bytes (the salt), then chunks: up to 64 KiB of
// content, 16 bytes of tag. The key is scrypt(passphrase, salt, N = 2^16, r = 8, p = 1): 64 MiB and
// about a quarter of a second a guess. Each chunk is AES-256-GCM under that key, which no other
// text has; its nonce is 4 zero bytes and its number (8 bytes, big-endian, from 0); its tag covers
// the head and a byte that is 1 for the last chunk, so that no chunk can be left out, moved or
// taken from another text. All chunks but the last are full; an empty content is one empty chunk.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

inline constexpr std::size_t kPassphraseMin = 8;
inline constexpr std::size_t kPassphraseMax = 1024;

// INVALID_ARGUMENT: too short or too long.
[[nodiscard]] Status check_passphrase(std::string_view passphrase);

// At most 1 GiB.
[[nodiscard]] Result<std::string> seal_with_passphrase(std::string_view content,
                                                       std::string_view passphrase);
// PERMISSION_DENIED: another passphrase (or its first chunk was changed, which looks the same).
// DATA_LOSS: damaged or cut short. Neither says anything of the content.
[[nodiscard]] Result<std::string> unseal_with_passphrase(std::string_view sealed,
                                                         std::string_view passphrase);

// Overwrites what a secret's text holds.
void wipe(std::string& secret);

}  // namespace overwinter
