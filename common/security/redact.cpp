#include "common/security/redact.h"

#include <cstddef>
#include <optional>

namespace overwinter {
namespace {

bool is_base64url(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::size_t run_of(std::string_view text, bool (*takes)(char)) {
  std::size_t length = 0;
  while (length < text.size() && takes(text[length])) ++length;
  return length;
}

// How much of the beginning of `text` is a secret; nothing when it is none. `inside`: the character
// before is part of a word, as in "window_size_bytes".
std::optional<std::size_t> token_at(std::string_view text, bool inside) {
  // Inside a word only what is as long as a whole token counts; on its own a cut one does too.
  const std::size_t least = inside ? 43 : 12;
  for (const std::string_view prefix : {"ow_", "ow1_", "owc1_"}) {
    if (!text.starts_with(prefix)) continue;
    const auto takes = [](char c) { return is_base64url(c) || c == '.'; };
    std::size_t length = run_of(text.substr(prefix.size()), takes);
    while (length > 0 && text[prefix.size() + length - 1] == '.')
      --length;  // the end of a sentence
    if (length >= least) return prefix.size() + length;
  }
  return std::nullopt;
}

std::optional<std::size_t> bearer_at(std::string_view text) {
  constexpr std::string_view kBearer = "bearer ";
  if (text.size() <= kBearer.size()) return std::nullopt;
  for (std::size_t i = 0; i < kBearer.size(); ++i) {
    const char c = text[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != kBearer[i]) return std::nullopt;
  }
  const auto takes = [](char c) {
    return is_base64url(c) || c == '.' || c == '~' || c == '+' || c == '/';
  };
  const std::size_t length = run_of(text.substr(kBearer.size()), takes);
  if (length < 12) return std::nullopt;  // "bearer token", "Bearer of"
  return kBearer.size() + length;
}

std::optional<std::size_t> pem_key_at(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kKey = "PRIVATE KEY-----";
  constexpr std::string_view kEnd = "-----END ";
  constexpr std::size_t kLabelMax = 32;
  if (!text.starts_with(kBegin)) return std::nullopt;
  const std::size_t label = text.substr(0, kBegin.size() + kLabelMax + kKey.size()).find(kKey);
  if (label == std::string_view::npos ||
      text.substr(0, label).find('\n') != std::string_view::npos ||
      text.substr(kBegin.size(), label - kBegin.size()).find("-----") != std::string_view::npos)
    return std::nullopt;
  const std::size_t body = label + kKey.size();
  const std::size_t end = text.find(kEnd, body);
  if (end == std::string_view::npos) return text.size();  // cut: all of the rest may be the key
  const std::size_t after = text.find(kKey, end);
  return after == std::string_view::npos ? text.size() : after + kKey.size();
}

// The DER of our keys begins the same each time: EC P-256 and Ed25519 in PKCS#8.
std::optional<std::size_t> bare_key_at(std::string_view text) {
  for (const std::string_view prefix : {"MIGHAgEAMBMGByqGSM49", "MC4CAQAwBQYDK2Vw"}) {
    if (!text.starts_with(prefix)) continue;
    return run_of(text, [](char c) { return is_base64url(c) || c == '+' || c == '/' || c == '='; });
  }
  return std::nullopt;
}

struct Secret {
  std::size_t shown = 0;  // of its beginning what may stay: "Bearer "
  std::size_t length = 0;
};

std::optional<Secret> secret_at(std::string_view text, bool inside) {
  switch (text.front()) {
    case 'o':
      if (const auto length = token_at(text, inside)) return Secret{0, *length};
      break;
    case 'b':
    case 'B':
      if (const auto length = bearer_at(text)) return Secret{7, *length};
      break;
    case '-':
      if (const auto length = pem_key_at(text)) return Secret{0, *length};
      break;
    case 'M':
      if (const auto length = bare_key_at(text)) return Secret{0, *length};
      break;
    default:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::string redact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const bool inside = at > 0 && is_base64url(text[at - 1]);
    if (const std::optional<Secret> secret = secret_at(text.substr(at), inside)) {
      out += text.substr(at, secret->shown);
      out += kRedacted;
      at += secret->length;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace overwinter
