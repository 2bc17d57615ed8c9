// Sessions of the page (TRUST §3). A session is a sealed cookie and a header secret, and opens
// nothing without both: a cookie of a loopback address goes to every port of it. The coordinator
// keeps none of them, so that they outlive its restart; what a session may do is what its token may
// at the time of the call, and ends with it.
//
// The cookie: base64url of the sealed text (common/security/seal.h) of the token's hash (32 bytes),
// the SHA-256 of the secret (32) and the end in milliseconds since 1970 (i64, big-endian).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/seal.h"
#include "coordinator/dashboard/http.h"

namespace overwinter::dashboard {

inline constexpr Duration kSessionLife = std::chrono::hours(12);

// Thread-safe.
class Sessions {
 public:
  // `hosts`: names and addresses, without ports, by which browsers may reach this page.
  Sessions(Sealer sealer, std::vector<std::string> hosts)
      : sealer_(std::move(sealer)), hosts_(std::move(hosts)) {}

  struct Opened {
    std::string set_cookie;  // the header's value
    std::string secret;
    Time ends{};
  };
  [[nodiscard]] Result<Opened> open(const Digest& token, Time now) const;
  // The value of a Set-Cookie that makes a browser forget its session.
  [[nodiscard]] static std::string closing_cookie();
  // The hash of the token that the request's session speaks for. UNAUTHENTICATED, one sentence: no
  // session, or not a whole one, or past its end.
  [[nodiscard]] Result<Digest> token_of(const Request& request, Time now) const;

  // PERMISSION_DENIED when the request's Host is none of ours: a name that somebody else pointed
  // here would make our page theirs.
  [[nodiscard]] Status check_host(const Request& request) const;
  // For what changes something: JSON, sent by our own page. PERMISSION_DENIED says what is wrong.
  [[nodiscard]] Status check_origin(const Request& request) const;

 private:
  const Sealer sealer_;
  const std::vector<std::string> hosts_;
};

// The host of "HOST", "HOST:PORT" or "[::1]:PORT", without brackets.
[[nodiscard]] std::string_view host_without_port(std::string_view host);

}  // namespace overwinter::dashboard
