#include "client/forward/forwarder.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <future>
#include <thread>

#include "client/forward/relay.h"
#include "common/security/certificate.h"

namespace overwinter::forward {
namespace {

Awaitable<void> try_once(Shared& shared, std::shared_ptr<std::promise<Status>> told) {
  const auto upstream = co_await dial_coordinator(shared);
  told->set_value(upstream ? Status::success() : upstream.error());
}

// Whatever was thrown (memory ran out) ends that connection alone.
constexpr auto kEnded = [](const std::exception_ptr&) {};

Awaitable<void> accept(Shared& shared, tcp::acceptor& acceptor) {
  for (;;) {
    auto [failed, socket] = co_await acceptor.async_accept(kAwait);
    if (failed == asio::error::operation_aborted) co_return;
    if (failed) {  // no descriptor is left, as a rule
      asio::steady_timer pause(shared.io, std::chrono::milliseconds(100));
      co_await pause.async_wait(kAwait);
      continue;
    }
    // Beyond the bound a connection is closed at once: who is being served stays served.
    if (shared.open >= shared.config.connections_max) continue;
    asio::co_spawn(shared.io, relay(shared, std::move(socket)), kEnded);
  }
}

Awaitable<void> try_trust(asio::io_context& io, ssl::context& tls, const Place& place,
                          bool& trusted) {
  Error none;
  asio::ip::make_address(place.host, none);
  const std::string_view name = none ? std::string_view(place.host) : "";  // RFC 6066: no address
  const auto upstream = co_await dial(io, tls, place, name);
  trusted = upstream.has_value();
}

}  // namespace

struct Forwarder::Impl {
  explicit Impl(const ForwardConfig& config) : shared(config), acceptor(shared.io) {}
  Shared shared;
  tcp::acceptor acceptor;
  std::thread thread;
};

Forwarder::Forwarder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Forwarder>> Forwarder::start(const ForwardConfig& config) {
  auto cluster = cluster_of_root(config.root_pem);
  if (!cluster) return fail(cluster.error());
  auto impl = std::make_unique<Impl>(config);
  Shared& shared = impl->shared;
  shared.cluster = std::move(*cluster);
  if (const auto failed = trust_coordinator(shared)) {
    return fail(Code::kInvalidArgument, "the cluster's root cannot be used: " + failed.message());
  }
  tcp::acceptor& acceptor = impl->acceptor;
  Error failed;
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), config.port);
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed) {
    return fail(Code::kInvalidArgument,
                fmt::format("port {} of 127.0.0.1 cannot be listened on: {}", config.port,
                            failed.message()),
                "--port", "without --port a free one is taken");
  }
  shared.port = acceptor.local_endpoint().port();
  asio::co_spawn(shared.io, accept(shared, acceptor), kEnded);
  impl->thread = std::thread([&shared] { shared.io.run(); });
  return std::unique_ptr<Forwarder>(new Forwarder(std::move(impl)));
}

Forwarder::~Forwarder() {
  impl_->shared.io.stop();
  impl_->thread.join();
}

std::uint16_t Forwarder::port() const {
  return impl_->shared.port;
}

Status Forwarder::try_dashboard() {
  auto told = std::make_shared<std::promise<Status>>();
  auto answer = told->get_future();
  asio::co_spawn(impl_->shared.io, try_once(impl_->shared, std::move(told)), kEnded);
  try {
    return answer.get();
  } catch (const std::future_error&) {  // it was thrown out of: memory ran out
    return error(Code::kInternal, "the dashboard could not be tried");
  }
}

bool Forwarder::login_seen() const {
  return impl_->shared.login_seen;
}

bool trusted_by_browsers(const Place& place) {
  bool trusted = false;
  asio::io_context io{1};
  ssl::context tls{ssl::context::tls_client};
  Error failed;
  tls.set_default_verify_paths(failed);
  if (!failed) tls.set_verify_mode(ssl::verify_peer, failed);
  if (!failed) tls.set_verify_callback(ssl::host_name_verification(place.host), failed);
  if (!failed) {
    asio::co_spawn(io, try_trust(io, tls, place, trusted), kEnded);
    io.run();
  }
  ERR_clear_error();  // this thread's connections of gRPC read the same queue
  return trusted;
}

}  // namespace overwinter::forward
