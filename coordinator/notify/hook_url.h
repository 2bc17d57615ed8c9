// HookUrl: where a webhook's messages go. Its path is as a rule a secret, so no text of it is made
// but the request line of the POST itself: errors and logs name a hook by its name.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::notify {

struct HookUrl {
  bool tls = true;
  std::string host;    // a name, an IPv4 address, or an IPv6 address without brackets
  std::string port;    // decimal
  std::string target;  // path and query; begins with "/"; a secret
  friend bool operator==(const HookUrl&, const HookUrl&) = default;
};

inline constexpr std::size_t kUrlBytesMax = 2048;

// https://HOST[:PORT][/PATH][?QUERY]; http:// to a loopback or private address alone, written as
// one, or to localhost: elsewhere its secret would be read on the way. The message is the rest of a
// sentence that begins with the key, and holds nothing of the text.
[[nodiscard]] Result<HookUrl> parse_hook_url(std::string_view text);

// Whether an address of the resolver may be dialled without TLS: loopback, RFC 1918, link-local,
// IPv6 unique local. False for what is no address.
[[nodiscard]] bool is_private_address(const std::string& address);

}  // namespace overwinter::notify
