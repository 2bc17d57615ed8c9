// What stands between a browser on loopback and a coordinator's dashboard: what is refused, and
// what is told to either side in place of what the other said (TRUST §3). Pure text: no sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::forward {

// Where a dashboard is dialled.
struct Place {
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 0;
  bool named = true;  // the host is the one that the coordinator says

  friend bool operator==(const Place&, const Place&) = default;
};
// "localhost", 127.0.0.0/8 and ::1.
[[nodiscard]] bool is_loopback(std::string_view host);
// Of what the coordinator says of its dashboard (https://HOST:PORT). A host that means its own
// machine alone is no way there from another one: then it is the host of `people_address`
// (HOST:PORT), by which the coordinator was just reached. FAILED_PRECONDITION for no such address.
[[nodiscard]] Result<Place> place_of(std::string_view dashboard, std::string_view people_address);
// HOST:PORT, an IPv6 address in brackets.
[[nodiscard]] std::string text_of(const Place& place);

// A request as it comes to 127.0.0.1:`port`. A browser may come by that address or localhost alone
// (any other name is one that somebody pointed here) and, where it says an origin, from a page of
// this very address. `origin`: empty when none was sent. PERMISSION_DENIED, one sentence.
Status check_source(std::string_view host, std::string_view origin, std::uint16_t port);

// The names under which the coordinator is asked, whatever it is reached by: it always answers to
// this one.
[[nodiscard]] std::string host_for_coordinator(std::uint16_t dashboard_port);
[[nodiscard]] std::string origin_for_coordinator(std::uint16_t dashboard_port);

// Whether a header goes on to the other side. Not: those of a single connection (RFC 9110 §7.6.1,
// and what `connection`, the header of that name, lists), and those that the forwarder writes anew.
[[nodiscard]] bool passes_to_coordinator(std::string_view name, std::string_view connection);
[[nodiscard]] bool passes_to_browser(std::string_view name, std::string_view connection);

// The session's cookie has another name and no `Secure` in the browser: it would not be kept over
// plain HTTP everywhere, and forwarders on other ports of this address would replace it.
//
// A Cookie header for the coordinator: the session's alone, empty when there is none. Cookies of
// other programs on this address are nothing for it.
[[nodiscard]] std::string cookie_for_coordinator(std::string_view cookie, std::uint16_t port);
// A Set-Cookie header for the browser; empty for one that is no session's.
[[nodiscard]] std::string cookie_for_browser(std::string_view set_cookie, std::uint16_t port);

}  // namespace overwinter::forward
