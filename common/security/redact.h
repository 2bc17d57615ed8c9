// Takes our secrets out of a text before it is logged or shown (TRUST §4). The last net, not the
// rule: secrets are not put into messages in the first place.
#pragma once

#include <string>
#include <string_view>

namespace overwinter {

inline constexpr std::string_view kRedacted = "[redacted]";

// Replaces by [redacted]: tokens (ow_…), login lines (ow1_…), capabilities (owc1_…), whole or cut
// short; what follows "Bearer "; private keys in PEM, with real or escaped line ends, or the base64
// of ours alone. A text without any comes back as it is. Linear in the length of the text.
[[nodiscard]] std::string redact(std::string_view text);

}  // namespace overwinter
