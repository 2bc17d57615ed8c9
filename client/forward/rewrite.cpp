#include "client/forward/rewrite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace overwinter::forward {
namespace {

constexpr std::string_view kCookie = "__Host-overwinter";

std::string own_cookie(std::uint16_t port) {
  return fmt::format("overwinter-{}", port);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next part before `mark` off the front.
std::string_view next_part(std::string_view& rest, char mark) {
  const auto end = rest.find(mark);
  const std::string_view part = trimmed(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

bool of_one_connection(std::string_view name, std::string_view connection) {
  constexpr std::array<std::string_view, 8> kAlways{
      "Connection", "Keep-Alive", "Proxy-Connection",  "Proxy-Authorization",
      "TE",         "Trailer",    "Transfer-Encoding", "Upgrade"};
  if (std::ranges::any_of(kAlways, [name](auto one) { return same_word(one, name); })) return true;
  while (!connection.empty()) {
    if (same_word(next_part(connection, ','), name)) return true;
  }
  return false;
}

// Of HOST:PORT, [::1]:PORT; empty host for anything else.
Place split(std::string_view text) {
  Place place;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return place;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view port = text.substr(colon + 1);
  const auto read = std::from_chars(port.data(), port.data() + port.size(), place.port);
  if (read.ec != std::errc{} || read.ptr != port.data() + port.size() || place.port == 0) {
    return place;
  }
  place.host = host;
  return place;
}

// The machine's own, or all of its addresses.
bool means_own_machine(std::string_view host) {
  return is_loopback(host) || host == "0.0.0.0" || host == "::";
}

}  // namespace

bool is_loopback(std::string_view host) {
  return same_word(host, "localhost") || host.starts_with("127.") || host == "::1";
}

Result<Place> place_of(std::string_view dashboard, std::string_view people_address) {
  constexpr std::string_view kScheme = "https://";
  Place place;
  if (dashboard.starts_with(kScheme)) {
    std::string_view rest = dashboard.substr(kScheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    place = split(rest);
  }
  if (place.host.empty()) {
    return fail(Code::kFailedPrecondition, "the coordinator says no address of its dashboard", {},
                "it listens where `overwinter-coordinator --listen-dashboard` says");
  }
  const std::string reached = split(people_address).host;
  const bool elsewhere = !reached.empty() && !is_loopback(reached);
  const bool anywhere = place.host == "0.0.0.0" || place.host == "::";
  if (means_own_machine(place.host) && (elsewhere || anywhere)) {
    place.host = reached.empty() ? "localhost" : reached;
    place.named = false;
  }
  return place;
}

std::string text_of(const Place& place) {
  return place.host.find(':') == std::string::npos ? fmt::format("{}:{}", place.host, place.port)
                                                   : fmt::format("[{}]:{}", place.host, place.port);
}

Status check_source(std::string_view host, std::string_view origin, std::uint16_t port) {
  if (host != fmt::format("127.0.0.1:{}", port) && host != fmt::format("localhost:{}", port)) {
    return error(Code::kPermissionDenied, "this page is not known by the name in the address",
                 "host");
  }
  if (!origin.empty() && origin != fmt::format("http://{}", host)) {
    return error(Code::kPermissionDenied, "the request does not come from this page", "origin");
  }
  return Status::success();
}

std::string host_for_coordinator(std::uint16_t dashboard_port) {
  return fmt::format("localhost:{}", dashboard_port);
}
std::string origin_for_coordinator(std::uint16_t dashboard_port) {
  return "https://" + host_for_coordinator(dashboard_port);
}

bool passes_to_coordinator(std::string_view name, std::string_view connection) {
  // Referer says nothing but the local address; what waits for "100 Continue" goes on without.
  constexpr std::array<std::string_view, 6> kWrittenAnew{"Host",    "Origin", "Cookie",
                                                         "Referer", "Expect", "Content-Length"};
  return std::ranges::none_of(kWrittenAnew, [name](auto one) { return same_word(one, name); }) &&
         !of_one_connection(name, connection);
}

bool passes_to_browser(std::string_view name, std::string_view connection) {
  // Of this address nobody may say that it is HTTPS from now on: other programs have its ports.
  return !same_word(name, "Set-Cookie") && !same_word(name, "Strict-Transport-Security") &&
         !of_one_connection(name, connection);
}

std::string cookie_for_coordinator(std::string_view cookie, std::uint16_t port) {
  const std::string own = own_cookie(port);
  while (!cookie.empty()) {
    const std::string_view pair = next_part(cookie, ';');
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == own) {
      return fmt::format("{}={}", kCookie, pair.substr(equals + 1));
    }
  }
  return {};
}

std::string cookie_for_browser(std::string_view set_cookie, std::uint16_t port) {
  const std::string_view pair = next_part(set_cookie, ';');
  const auto equals = pair.find('=');
  if (equals == std::string_view::npos || pair.substr(0, equals) != kCookie) return {};
  std::string out = own_cookie(port) + '=' + std::string(pair.substr(equals + 1));
  while (!set_cookie.empty()) {
    const std::string_view attribute = next_part(set_cookie, ';');
    if (same_word(attribute, "Secure") || attribute.empty()) continue;
    out.append("; ").append(attribute);
  }
  return out;
}

}  // namespace overwinter::forward
