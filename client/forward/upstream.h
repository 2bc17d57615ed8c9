// The coordinator's side of the forwarder: who it is, and connections to it. Inner header of the
// room; on the thread of its io_context.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "client/forward/forwarder.h"

namespace overwinter::forward {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;
using Error = boost::system::error_code;
template <class T>
using Awaitable = asio::awaitable<T>;

// Errors are values here: nothing is thrown by an operation.
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// On the forwarder's thread, but for what is atomic or constant.
struct Shared {
  explicit Shared(const ForwardConfig& settings) : config(settings) {}

  const ForwardConfig config;
  std::string cluster;
  std::uint16_t port = 0;
  std::string refusal;   // why this side refused a handshake
  std::size_t open = 0;  // connections
  std::atomic<bool> login_seen{false};
  ssl::context tls{ssl::context::tls_client};
  asio::io_context io{1};  // the last one: what still waits in it uses the others
};

// A socket that is closed when what is waited for takes too long.
class Line {
 public:
  explicit Line(tcp::socket socket)
      : socket_(std::make_shared<tcp::socket>(std::move(socket))),
        timer_(socket_->get_executor()) {}

  tcp::socket& socket() { return *socket_; }
  void close() { close(*socket_); }
  // Of all that is waited for from now on, until it is called again.
  void allow(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = std::weak_ptr(socket_)](Error failed) {
      if (const auto socket = weak.lock(); socket && !failed) close(*socket);
    });
  }

 private:
  static void close(tcp::socket& socket) {
    Error ignored;
    socket.close(ignored);
  }
  std::shared_ptr<tcp::socket> socket_;
  asio::steady_timer timer_;
};

struct Upstream {
  Upstream(asio::io_context& io, ssl::context& tls)
      : line(tcp::socket(io)), stream(line.socket(), tls) {}

  Line line;
  ssl::stream<tcp::socket&> stream;
  std::string ahead;  // was read, and not yet parsed
  std::chrono::steady_clock::time_point used_at{};
};
using UpstreamPtr = std::shared_ptr<Upstream>;

// Makes `shared.tls` trust the root of `shared.config`, and under it a coordinator of
// `shared.cluster` alone.
Error trust_coordinator(Shared& shared);
// Within 10 s. UNAVAILABLE, one sentence: nobody is there, or it is not the cluster's coordinator.
Awaitable<Result<UpstreamPtr>> dial_coordinator(Shared& shared);
// `server_name`: the one that is asked for, which outlives it; empty: none.
Awaitable<Result<UpstreamPtr>> dial(asio::io_context& io, ssl::context& tls, const Place& place,
                                    std::string_view server_name);

}  // namespace overwinter::forward
