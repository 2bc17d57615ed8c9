#include "coordinator/notify/hook_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace overwinter::notify {
namespace {

tl::unexpected<Status> refuse_url(std::string message) {
  return fail(Code::kInvalidArgument, std::move(message));
}

bool is_target_character(char c) {
  return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '#';
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.';
}

bool is_ipv6(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

// Splits HOST[:PORT] into `out`.
Status read_authority(std::string_view text, HookUrl& out) {
  if (text.find('@') != std::string_view::npos) {
    return error(Code::kInvalidArgument, "takes no user and no password before the host");
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return error(Code::kInvalidArgument, "has no whole host");
    out.host = std::string(text.substr(1, end - 1));
    if (!is_ipv6(out.host)) return error(Code::kInvalidArgument, "has no IPv6 address in [ ]");
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') {
      return error(Code::kInvalidArgument, "has something behind its host that is no port");
    }
  } else {
    const auto colon = text.find(':');
    out.host = std::string(text.substr(0, colon));
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (out.host.empty() || out.host.size() > 253 ||
        !std::all_of(out.host.begin(), out.host.end(), is_host_character)) {
      return error(Code::kInvalidArgument, "has no host name or address");
    }
  }
  if (port.empty()) {
    out.port = out.tls ? "443" : "80";
    return Status::success();
  }
  port.remove_prefix(1);
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || number == 0 ||
      number > 65535) {
    return error(Code::kInvalidArgument, "has a port that is not from 1 to 65535");
  }
  out.port = std::to_string(number);
  return Status::success();
}

}  // namespace

bool is_private_address(const std::string& text) {
  in_addr four{};
  if (::inet_pton(AF_INET, text.c_str(), &four) == 1) {
    const std::uint32_t bits = ntohl(four.s_addr);
    return (bits >> 24) == 127 || (bits >> 24) == 10 || (bits >> 20) == 0xac1 ||
           (bits >> 16) == 0xc0a8 || (bits >> 16) == 0xa9fe;
  }
  in6_addr six{};
  if (::inet_pton(AF_INET6, text.c_str(), &six) != 1) return false;
  const bool loopback = IN6_IS_ADDR_LOOPBACK(&six);
  const bool link_local = six.s6_addr[0] == 0xfe && (six.s6_addr[1] & 0xc0) == 0x80;
  return loopback || link_local || (six.s6_addr[0] & 0xfe) == 0xfc;
}

Result<HookUrl> parse_hook_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return refuse_url("is longer than 2048 bytes");
  HookUrl out;
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    out.tls = false;
    text.remove_prefix(7);
  } else {
    return refuse_url("must begin with https://");
  }
  const auto slash = text.find_first_of("/?");
  std::string_view target = slash == std::string_view::npos ? "" : text.substr(slash);
  if (Status status = read_authority(text.substr(0, slash), out); !status.ok()) {
    return fail(std::move(status));
  }
  if (!std::all_of(target.begin(), target.end(), is_target_character)) {
    return refuse_url("has a character that must be written as %XX");
  }
  out.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  if (!out.tls && out.host != "localhost" && !is_private_address(out.host)) {
    return refuse_url(
        "must begin with https://: over http:// whoever is on the way reads the address and what "
        "is sent; http:// is for localhost and for private addresses alone, written as addresses");
  }
  return out;
}

}  // namespace overwinter::notify
