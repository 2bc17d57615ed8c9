// Certificates that somebody else's CA made for names of this machine. No OpenSSL type shows here.
#pragma once

#include <string>
#include <string_view>

namespace overwinter {

// Whether a browser takes the first certificate for that host name or address: by its alternative
// names, wildcards among them. False when it cannot be read.
[[nodiscard]] bool names_host(std::string_view cert_chain_pem, const std::string& host);

// Whether the first certificate may be shown by a server (its key usages say so, or say nothing).
[[nodiscard]] bool serves(std::string_view cert_chain_pem);

}  // namespace overwinter
