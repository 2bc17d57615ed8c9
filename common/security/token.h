// What people carry: bearer tokens (`ow_…`) and login lines (`ow1_…`) (TRUST §1). Shown once,
// stored as a hash.
#pragma once

#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter {

// `ow_` and 32 random bytes in base64url: 46 characters.
[[nodiscard]] std::string make_token();
// Shape alone.
[[nodiscard]] bool looks_like_token(std::string_view text);
// What is stored and looked up: the SHA-256 of the whole text.
[[nodiscard]] Digest token_hash(std::string_view token);

// The code of a login line: 16 random bytes in base64url. Stored as token_hash(code), good for one
// exchange.
[[nodiscard]] std::string make_login_code();

struct LoginLine {
  std::string address;  // HOST:PORT of the people port, 1 to 255 characters without spaces
  Digest root_fingerprint;
  std::string code;

  friend bool operator==(const LoginLine&, const LoginLine&) = default;
};
// `ow1_` and base64url of: root fingerprint (32 bytes), code (16 bytes), address, the first 4 bytes
// of the SHA-256 of all that, so that a line cut in copying is told from a wrong one.
// INVALID_ARGUMENT for a bad address or code.
[[nodiscard]] Result<std::string> encode_login_line(const LoginLine& line);
// Spaces and a line end around it are taken. INVALID_ARGUMENT says in one sentence what it is
// instead.
[[nodiscard]] Result<LoginLine> decode_login_line(std::string_view text);

}  // namespace overwinter
