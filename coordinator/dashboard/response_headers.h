// What every answer of the dashboard says of itself in its header. Inner header of the room.
#pragma once

#include <boost/beast/http/field.hpp>
#include <string>
#include <string_view>

#include "coordinator/dashboard/http.h"

namespace overwinter::dashboard {

// No script, style or frame but the page's own; text becomes no script (DASHBOARD §10).
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

// `message`: a response of Beast with any body.
template <class Message>
void set_headers(const Response& response, Message& message) {
  message.set(boost::beast::http::field::content_type, response.content_type);
  message.set(boost::beast::http::field::cache_control, response.cache_control);
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Strict-Transport-Security", "max-age=31536000");
  message.set("Content-Security-Policy", kContentSecurityPolicy);
  message.set("Referrer-Policy", "no-referrer");
  message.set("Cross-Origin-Opener-Policy", "same-origin");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  message.set("X-Frame-Options", "DENY");
  if (!response.content_encoding.empty()) {
    message.set(boost::beast::http::field::content_encoding, response.content_encoding);
  }
  if (!response.etag.empty()) {
    message.set(boost::beast::http::field::etag, response.etag);
    message.set(boost::beast::http::field::vary, "Accept-Encoding");
  }
  if (!response.set_cookie.empty())
    message.set(boost::beast::http::field::set_cookie, response.set_cookie);
  if (!response.allow.empty()) message.set(boost::beast::http::field::allow, response.allow);
  if (response.event) message.set("Overwinter-Event", std::to_string(*response.event));
  if (response.status == 401) message.set(boost::beast::http::field::www_authenticate, "Bearer");
}

}  // namespace overwinter::dashboard
