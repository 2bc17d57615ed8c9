// A client of the page's HTTP side over TLS, as coroutines of Asio and, for one question, as a call
// that blocks.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/viewers.h"

namespace overwinter::bench {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
template <class T>
using Await = asio::awaitable<T>;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;
using Request = http::request<http::string_body>;
using Answer = http::response<http::string_body>;

constexpr auto kHere = asio::use_awaitable;

Request request_of(http::verb verb, const std::string& host, const std::string& target,
                   const PageSession& session);
// The same as a browser asks: the answer comes packed.
Request browser_request_of(const std::string& host, const std::string& target,
                           const PageSession& session);
// The number that an answer is as of.
std::uint64_t event_of(const Answer& answer);

// Where everything connects to. Throws what the network says.
struct Door {
  explicit Door(const PageServer& server);
  Await<std::unique_ptr<TlsStream>> connect();

  asio::io_context io{1};
  asio::ssl::context tls{asio::ssl::context::tlsv13_client};
  const std::string host;
  tcp::endpoint at;
};

// A connection that stays: opened by the first question, and again after it was closed.
class Line {
 public:
  explicit Line(Door& door) : door_(door) {}
  // Throws what the network says.
  Await<Answer> ask(Request request);

 private:
  Door& door_;
  std::unique_ptr<TlsStream> stream_;
  beast::flat_buffer buffer_;
};

}  // namespace overwinter::bench
