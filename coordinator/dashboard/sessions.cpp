#include "coordinator/dashboard/sessions.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/security/encoding.h"
#include "common/security/random.h"

namespace overwinter::dashboard {
namespace {

constexpr std::string_view kCookie = "__Host-overwinter";
constexpr std::string_view kAttributes = "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=";
constexpr std::string_view kBound = "session of the page";
constexpr std::size_t kContentBytes = 32 + 32 + 8;

tl::unexpected<Status> no_session(std::string message) {
  return fail(Code::kUnauthenticated, std::move(message), {}, "log in again");
}

std::string_view cookie_value(std::string_view header) {
  while (!header.empty()) {
    const auto end = header.find(';');
    std::string_view pair = header.substr(0, end);
    pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) == kCookie && equals != std::string_view::npos) {
      return pair.substr(equals + 1);
    }
    header = end == std::string_view::npos ? std::string_view() : header.substr(end + 1);
  }
  return {};
}

std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}
Digest as_digest(std::string_view bytes) {
  Digest digest;
  std::memcpy(digest.bytes.data(), bytes.data(), digest.bytes.size());
  return digest;
}

}  // namespace

std::string_view host_without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  const auto colon = host.find(':');
  // More than one colon: an IPv6 address as it is.
  return host.find(':', colon + 1) == std::string_view::npos ? host.substr(0, colon) : host;
}

Result<Sessions::Opened> Sessions::open(const Digest& token, Time now) const {
  std::array<std::uint8_t, 32> random{};
  fill_random(random);
  Opened opened;
  opened.secret = base64url_encode(random);
  opened.ends = now + kSessionLife;
  std::string content(bytes_of(token));
  content += bytes_of(sha256(opened.secret));
  const auto ends = static_cast<std::uint64_t>(unix_ms(opened.ends));
  for (int shift = 56; shift >= 0; shift -= 8) content += static_cast<char>(ends >> shift & 0xFF);
  const auto sealed = sealer_.seal(content, kBound);
  if (!sealed) return fail(sealed.error());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(kSessionLife).count();
  opened.set_cookie = std::string(kCookie) + '=' + base64url_encode(*sealed) +
                      std::string(kAttributes) + std::to_string(seconds);
  return opened;
}

std::string Sessions::closing_cookie() {
  return std::string(kCookie) + '=' + std::string(kAttributes) + '0';
}

Result<Digest> Sessions::token_of(const Request& request, Time now) const {
  const auto value = cookie_value(request.cookie);
  if (value.empty() || request.session.empty()) return no_session("nobody is logged in here");
  const auto sealed = base64url_decode(value);
  if (!sealed) return no_session("the session is not one of this coordinator");
  const auto content = sealer_.unseal(*sealed, kBound);
  if (!content || content->size() != kContentBytes) {
    return no_session("the session is not one of this coordinator");
  }
  const std::string_view parts = *content;
  std::uint64_t ends = 0;
  for (const char c : parts.substr(64)) ends = ends << 8 | static_cast<unsigned char>(c);
  if (now >= time_from_unix_ms(static_cast<std::int64_t>(ends))) {
    return no_session("the session has ended");
  }
  if (!equal_constant_time(sha256(request.session), as_digest(parts.substr(32, 32)))) {
    return no_session("the session's secret is another one");
  }
  return as_digest(parts.substr(0, 32));
}

Status Sessions::check_host(const Request& request) const {
  const auto host = host_without_port(request.host);
  if (std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end()) return Status::success();
  return error(Code::kPermissionDenied, "this coordinator is not known by the name in the address",
               "host", "start it with --name and that name, or use overwinter dashboard");
}

Status Sessions::check_origin(const Request& request) const {
  if (request.content_type != "application/json") {
    return error(Code::kPermissionDenied, "the request's content is not JSON", "content-type");
  }
  if (request.origin != "https://" + request.host || request.fetch_site != "same-origin") {
    return error(Code::kPermissionDenied, "the request does not come from this page", "origin");
  }
  return Status::success();
}

}  // namespace overwinter::dashboard
