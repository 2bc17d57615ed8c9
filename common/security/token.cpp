#include "common/security/token.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/security/encoding.h"
#include "common/security/random.h"

namespace overwinter {
namespace {

constexpr std::string_view kTokenPrefix = "ow_";
constexpr std::string_view kLoginPrefix = "ow1_";
constexpr std::size_t kTokenChars = 43;  // of 32 bytes
constexpr std::size_t kCodeBytes = 16;
constexpr std::size_t kCheckBytes = 4;
constexpr std::size_t kAddressMax = 255;

template <std::size_t N>
std::string random_text() {
  std::array<std::uint8_t, N> bytes{};
  fill_random(bytes);
  return base64url_encode(bytes);
}

std::string_view raw(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

bool valid_address(std::string_view address) {
  return !address.empty() && address.size() <= kAddressMax &&
         address.find(':') != std::string_view::npos &&
         std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

}  // namespace

std::string make_token() {
  return std::string(kTokenPrefix) + random_text<32>();
}

bool looks_like_token(std::string_view text) {
  return text.size() == kTokenPrefix.size() + kTokenChars && text.starts_with(kTokenPrefix) &&
         base64url_decode(text.substr(kTokenPrefix.size())).has_value();
}

Digest token_hash(std::string_view token) {
  return sha256(token);
}

std::string make_login_code() {
  return random_text<kCodeBytes>();
}

Result<std::string> encode_login_line(const LoginLine& line) {
  const Result<std::string> code = base64url_decode(line.code);
  if (!code || code->size() != kCodeBytes)
    return fail(Code::kInvalidArgument, "this is not a login code", "code");
  if (!valid_address(line.address))
    return fail(Code::kInvalidArgument, "a login line needs an address HOST:PORT", "address");
  std::string body(raw(line.root_fingerprint));
  body += *code;
  body += line.address;
  body += raw(sha256(body)).substr(0, kCheckBytes);
  return std::string(kLoginPrefix) + base64url_encode(body);
}

Result<LoginLine> decode_login_line(std::string_view text) {
  const auto bad = [](std::string what) {
    return fail(Code::kInvalidArgument, std::move(what), "login line",
                "ask an admin for a new one: overwinter tokens create");
  };
  const std::string_view line = trimmed(text);
  if (looks_like_token(line))
    return bad("this is a token, not a login line: a login line begins with ow1_");
  if (!line.starts_with(kLoginPrefix)) return bad("a login line begins with ow1_");
  constexpr std::size_t kFixed = 32 + kCodeBytes + kCheckBytes;
  const std::string_view encoded = line.substr(kLoginPrefix.size());
  if (encoded.size() > 2 * (kFixed + kAddressMax)) return bad("the login line is too long");
  const Result<std::string> body = base64url_decode(encoded);
  if (!body || body->size() <= kFixed) return bad("the login line is incomplete");
  const std::string_view content = std::string_view(*body).substr(0, body->size() - kCheckBytes);
  if (!equal_constant_time(raw(sha256(content)).substr(0, kCheckBytes),
                           body->substr(content.size())))
    return bad("the login line is incomplete or was changed on the way");
  LoginLine login;
  std::copy_n(content.begin(), 32, login.root_fingerprint.bytes.begin());
  login.code = base64url_encode(content.substr(32, kCodeBytes));
  login.address = content.substr(32 + kCodeBytes);
  if (!valid_address(login.address)) return bad("the login line holds no address");
  return login;
}

}  // namespace overwinter
