#include "client/forward/forwarder.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "common/security/certificate.h"
#include "common/security/coordinator_peer.h"

namespace overwinter::forward {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;
using Error = boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;
template <class T>
using Awaitable = asio::awaitable<T>;

constexpr std::uint32_t kHeaderBytesMax = std::uint32_t{16} * 1024;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1024} * 1024;
constexpr std::size_t kPieceBytes = std::size_t{16} * 1024;
constexpr auto kDialTime = std::chrono::seconds(10);
constexpr auto kWriteTime = std::chrono::seconds(60);
// The event stream has a heartbeat every 10 s; what is slower is lost.
constexpr auto kSilence = std::chrono::seconds(60);
// Of a browser that waits while the coordinator is silent, which has its own bound.
constexpr auto kAnswerTime = kSilence + kWriteTime;
// The coordinator ends a connection that says nothing for 30 s: it is given up before.
constexpr auto kUnusedTime = std::chrono::seconds(15);
constexpr auto kFarewellTime = std::chrono::seconds(1);

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
  SteadyTime used_at{};
};
using UpstreamPtr = std::shared_ptr<Upstream>;

// ---- the coordinator's side
std::string pem_of(X509* certificate) {
  std::string pem;
  BIO* const bio = BIO_new(BIO_s_mem());
  if (bio != nullptr && PEM_write_bio_X509(bio, certificate) == 1) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    pem.assign(data, static_cast<std::size_t>(size));
  }
  BIO_free(bio);
  return pem;
}

// OpenSSL asks for each certificate of the chain, the server's own last.
bool is_coordinator(bool chain_good, X509_STORE_CTX* seen, Shared& shared) {
  if (!chain_good) {
    shared.refusal = X509_verify_cert_error_string(X509_STORE_CTX_get_error(seen));
    return false;
  }
  if (X509_STORE_CTX_get_error_depth(seen) != 0) return true;
  const Status status =
      check_coordinator(pem_of(X509_STORE_CTX_get_current_cert(seen)), shared.cluster);
  if (!status.ok()) shared.refusal = status.message;
  return status.ok();
}

tl::unexpected<Status> unreachable(const Place& place, std::string_view why) {
  return fail(Code::kUnavailable,
              fmt::format("the dashboard at {} cannot be reached: {}", text_of(place), why), {},
              "it listens where `overwinter-coordinator --listen-dashboard` says");
}

// `server_name`: the one that is asked for, which outlives it; empty: none.
Awaitable<Result<UpstreamPtr>> dial(asio::io_context& io, ssl::context& tls, const Place& place,
                                    std::string_view server_name) {
  tcp::resolver resolver(io);
  const auto [unknown, found] =
      co_await resolver.async_resolve(place.host, std::to_string(place.port), kAwait);
  if (unknown) co_return unreachable(place, unknown.message());
  auto upstream = std::make_shared<Upstream>(io, tls);
  Error away = asio::error::host_not_found;
  for (const auto& entry : found) {
    if (!away) break;
    Error ignored;
    upstream->line.socket().close(ignored);
    upstream->line.allow(kDialTime);
    const auto [failed] = co_await upstream->line.socket().async_connect(entry.endpoint(), kAwait);
    away = failed;
  }
  if (away) co_return unreachable(place, away.message());
  Error ignored;
  upstream->line.socket().set_option(tcp::no_delay(true), ignored);
  upstream->line.allow(kDialTime);
  if (!server_name.empty()) {
    SSL_set_tlsext_host_name(upstream->stream.native_handle(), std::string(server_name).c_str());
  }
  const auto [refused] =
      co_await upstream->stream.async_handshake(ssl::stream_base::client, kAwait);
  if (refused) co_return unreachable(place, refused.message());
  co_return upstream;
}

Awaitable<Result<UpstreamPtr>> dial_coordinator(Shared& shared) {
  shared.refusal.clear();
  auto upstream =
      co_await dial(shared.io, shared.tls, shared.config.dashboard, kCoordinatorServerName);
  if (upstream || shared.refusal.empty()) co_return upstream;
  co_return fail(Code::kUnavailable,
                 fmt::format("the server at {} is not the cluster's coordinator: {}",
                             text_of(shared.config.dashboard), shared.refusal),
                 {},
                 "something else answers there, or ends TLS before it: give the page's certificate "
                 "to the coordinator (--dashboard-cert), or open the page's address as `overwinter "
                 "status` shows it");
}

Awaitable<void> try_once(Shared& shared, std::shared_ptr<std::promise<Status>> told) {
  const auto upstream = co_await dial_coordinator(shared);
  told->set_value(upstream ? Status::success() : upstream.error());
}

enum class Pending { kNothing, kSomething, kGone };
Pending pending_of(tcp::socket& socket) {
  char byte = 0;
  const auto size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size > 0) return Pending::kSomething;
  const bool quiet = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return quiet ? Pending::kNothing : Pending::kGone;
}

// ---- a connection of the browser, and its own one to the coordinator
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using RequestParser = http::request_parser<http::string_body>;
  using AnswerParser = http::response_parser<http::buffer_body>;
  using Request = RequestParser::value_type;

  Connection(Shared& shared, tcp::socket socket) : shared_(shared), browser_(std::move(socket)) {
    ++shared_.open;
    Error ignored;
    browser_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Connection() { --shared_.open; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One request and its answer. False: the connection ends.
  Awaitable<bool> exchange() {
    RequestParser parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(kBodyBytesMax);
    parser.eager(true);
    browser_.allow(shared_.config.idle);
    const Error failed = co_await read_request(parser);
    if (failed == http::error::header_limit || failed == http::error::body_limit) {
      const Status large = error(Code::kInvalidArgument, "the request is too large");
      const unsigned code = failed == http::error::header_limit ? 431 : 413;
      co_return co_await refuse(code, large, false);
    }
    if (failed) co_return false;
    browser_.allow(kAnswerTime);
    const Request request = parser.release();
    const bool for_api = request.target().starts_with("/api/");
    if (const Status status = check(request); !status.ok()) {
      const unsigned code = status.code == Code::kPermissionDenied ? 403 : 400;
      co_return co_await refuse(code, status, for_api);
    }
    if (request.target().substr(0, request.target().find('?')) == "/login") {
      shared_.login_seen = true;
    }
    if (const Status status = co_await reach(); !status.ok()) {
      co_return co_await refuse(503, status, for_api);
    }
    co_return co_await answer(request, for_api);
  }

  // Says that nothing more comes, and lets what was said arrive.
  Awaitable<void> end() {
    Error failed;
    browser_.socket().shutdown(tcp::socket::shutdown_send, failed);
    browser_.allow(kFarewellTime);
    while (!failed) {
      const auto [ended, size] =
          co_await browser_.socket().async_read_some(asio::buffer(piece_), kAwait);
      failed = ended;
    }
    browser_.close();
  }

 private:
  Awaitable<Error> read_request(RequestParser& parser) {
    for (;;) {
      Error failed;
      if (!ahead_.empty()) ahead_.erase(0, parser.put(asio::buffer(ahead_), failed));
      if (failed && failed != http::error::need_more) co_return failed;
      if (parser.is_done()) co_return Error();
      const auto [ended, size] =
          co_await browser_.socket().async_read_some(asio::buffer(piece_), kAwait);
      if (ended) co_return ended;
      ahead_.append(piece_.data(), size);
    }
  }

  [[nodiscard]] Status check(const Request& request) const {
    if (request.version() != 11 || !request.target().starts_with('/')) {
      return error(Code::kInvalidArgument, "this is no request that a browser sends to a page");
    }
    // Two of them are one for us and another one for somebody else.
    if (request.count(http::field::host) > 1 || request.count(http::field::origin) > 1) {
      return error(Code::kPermissionDenied, "the request says twice where it comes from");
    }
    return check_source(request[http::field::host], request[http::field::origin], shared_.port);
  }

  Awaitable<Status> reach() {
    const bool good = upstream_ &&
                      std::chrono::steady_clock::now() - upstream_->used_at < kUnusedTime &&
                      pending_of(upstream_->line.socket()) == Pending::kNothing;
    if (good) co_return Status::success();
    upstream_.reset();
    auto dialled = co_await dial_coordinator(shared_);
    if (!dialled) co_return dialled.error();
    upstream_ = std::move(*dialled);
    co_return Status::success();
  }

  static void add(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  }

  [[nodiscard]] std::string for_coordinator(const Request& request) const {
    const std::string_view connection = request[http::field::connection];
    const std::uint16_t port = shared_.config.dashboard.port;
    const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
    std::string out(std::string_view(request.method_string()));
    out.append(" ").append(std::string_view(request.target())).append(" HTTP/1.1\r\n");
    add(out, "Host", host_for_coordinator(port));
    for (const auto& field : request) {
      if (passes_to_coordinator(field.name_string(), connection)) {
        add(out, field.name_string(), field.value());
      }
    }
    if (request.count(http::field::origin) == 1) {
      add(out, "Origin", origin_for_coordinator(port));
      // Its own origin says the same; not every browser sends this one over plain HTTP.
      if (request.count("Sec-Fetch-Site") == 0) add(out, "Sec-Fetch-Site", "same-origin");
    }
    const std::string cookie = cookie_for_coordinator(request[http::field::cookie], shared_.port);
    if (!cookie.empty()) add(out, "Cookie", cookie);
    if (!reads || !request.body().empty()) {
      add(out, "Content-Length", std::to_string(request.body().size()));
    }
    return out + "\r\n" + request.body();
  }

  Awaitable<bool> answer(const Request& request, bool for_api) {
    AnswerParser parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(boost::none);
    parser.skip(request.method() == http::verb::head);
    const std::string asked = for_coordinator(request);
    upstream_->line.allow(kWriteTime);
    const auto [failed, sent] =
        co_await asio::async_write(upstream_->stream, asio::buffer(asked), kAwait);
    bool heard = !failed;
    while (heard && !parser.is_header_done()) heard = co_await feed(parser);
    if (!heard) {
      upstream_.reset();
      const Status away = error(Code::kUnavailable, "the coordinator does not answer");
      co_return co_await refuse(503, away, for_api);
    }
    const bool keep = request.keep_alive();
    const bool whole = co_await pass_on(parser, keep);
    if (whole && parser.keep_alive()) {
      upstream_->used_at = std::chrono::steady_clock::now();
      upstream_->line.allow(kUnusedTime + kFarewellTime);
    } else {
      upstream_.reset();
    }
    co_return whole&& keep;
  }

  // Gives the parser what was read, else reads. False: the coordinator has broken off.
  Awaitable<bool> feed(AnswerParser& parser) {
    Error failed;
    std::string& ahead = upstream_->ahead;
    if (!ahead.empty()) {
      const std::size_t taken = parser.put(asio::buffer(ahead), failed);
      ahead.erase(0, taken);
      if (!failed || failed == http::error::need_buffer) co_return true;
      if (failed != http::error::need_more) co_return false;
      if (taken > 0) co_return true;  // what it holds now is not kept until there is more
    }
    upstream_->line.allow(kSilence);
    const auto [ended, size] =
        co_await upstream_->stream.async_read_some(asio::buffer(incoming_), kAwait);
    ahead.append(incoming_.data(), size);
    if (ended != asio::error::eof) co_return !ended;
    parser.put_eof(failed);
    co_return !failed;
  }

  [[nodiscard]] std::string for_browser(const AnswerParser::value_type& answer, bool chunked,
                                        bool keep) const {
    const std::string_view connection = answer[http::field::connection];
    std::string out =
        fmt::format("HTTP/1.1 {} {}\r\n", answer.result_int(), std::string_view(answer.reason()));
    for (const auto& field : answer) {
      if (passes_to_browser(field.name_string(), connection)) {
        add(out, field.name_string(), field.value());
      }
      if (field.name() != http::field::set_cookie) continue;
      const std::string cookie = cookie_for_browser(field.value(), shared_.port);
      if (!cookie.empty()) add(out, "Set-Cookie", cookie);
    }
    if (chunked) add(out, "Transfer-Encoding", "chunked");
    if (!keep) add(out, "Connection", "close");
    return out + "\r\n";
  }

  // The answer whose header was read, to its end. False: either side has broken off.
  Awaitable<bool> pass_on(AnswerParser& parser, bool keep) {
    const bool chunked = !parser.is_done() && !parser.get().has_content_length();
    const bool endless = parser.get()[http::field::content_type].starts_with("text/event-stream");
    if (!co_await tell(for_browser(parser.get(), chunked, keep))) co_return false;
    if (endless) watch_reader();
    const bool whole = co_await pass_body(parser, chunked);
    Error ignored;
    if (endless) browser_.socket().cancel(ignored);
    co_return whole;
  }

  Awaitable<bool> pass_body(AnswerParser& parser, bool chunked) {
    parser.eager(true);
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = piece_.data();
      body.size = piece_.size();
      if (!co_await feed(parser)) co_return false;
      const std::string_view piece(piece_.data(), piece_.size() - body.size);
      if (piece.empty()) continue;
      std::string text = chunked ? fmt::format("{:x}\r\n", piece.size()) : std::string();
      text.append(piece).append(chunked ? "\r\n" : "");
      if (!co_await tell(std::move(text))) co_return false;
    }
    if (!chunked) co_return true;
    co_return co_await tell("0\r\n\r\n");
  }

  // False: the browser has gone.
  Awaitable<bool> tell(std::string text) {
    browser_.allow(kWriteTime);
    const auto [failed, size] =
        co_await asio::async_write(browser_.socket(), asio::buffer(text), kAwait);
    browser_.allow(kAnswerTime);
    co_return !failed;
  }

  // A reader that goes ends its stream at once, and not when there is something to tell it: the
  // coordinator counts the streams that are open.
  void watch_reader() {
    browser_.socket().async_wait(tcp::socket::wait_read, [weak = weak_from_this()](Error failed) {
      const auto self = weak.lock();
      if (failed || !self || !self->upstream_) return;
      if (pending_of(self->browser_.socket()) == Pending::kGone) self->upstream_->line.close();
    });
  }

  // One sentence of ours; always ends the connection. No sentence here holds a quotation mark.
  Awaitable<bool> refuse(unsigned status, const Status& why, bool for_api) {
    const std::string body =
        for_api ? fmt::format(
                      "{{\"code\":\"{}\",\"message\":\"{}\",\"field\":\"{}\",\"hint\":\"{}\"}}\n",
                      code_name(why.code), why.message, why.field, why.hint)
                : why.message + '\n';
    std::string out =
        fmt::format("HTTP/1.1 {} {}\r\n", status,
                    std::string_view(http::obsolete_reason(http::int_to_status(status))));
    add(out, "Content-Type", for_api ? "application/json" : "text/plain; charset=utf-8");
    add(out, "Content-Length", std::to_string(body.size()));
    add(out, "Cache-Control", "no-store");
    add(out, "X-Content-Type-Options", "nosniff");
    add(out, "Content-Security-Policy", "default-src 'none'");
    add(out, "Connection", "close");
    co_await tell(out + "\r\n" + body);
    co_return false;
  }

  Shared& shared_;
  Line browser_;
  std::string ahead_;  // was read, and not yet parsed
  UpstreamPtr upstream_;
  std::array<char, kPieceBytes> piece_{};     // to or from the browser
  std::array<char, kPieceBytes> incoming_{};  // from the coordinator
};

// Whatever was thrown (memory ran out) ends that connection alone.
constexpr auto kEnded = [](const std::exception_ptr&) {};

Awaitable<void> serve(std::shared_ptr<Connection> connection) {
  // As a loop's condition GCC 12 compiles a co_await into a trap.
  bool open = true;
  while (open) open = co_await connection->exchange();
  co_await connection->end();
}

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
    asio::co_spawn(shared.io, serve(std::make_shared<Connection>(shared, std::move(socket))),
                   kEnded);
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

Error trust_coordinator(Shared& shared) {
  Error failed;
  shared.tls.set_options(
      ssl::context::no_tlsv1_2 | ssl::context::no_tlsv1_1 | ssl::context::no_tlsv1, failed);
  if (!failed) shared.tls.add_certificate_authority(asio::buffer(shared.config.root_pem), failed);
  if (!failed) shared.tls.set_verify_mode(ssl::verify_peer, failed);
  if (!failed) {
    shared.tls.set_verify_callback(
        [&shared](bool good, ssl::verify_context& seen) {
          return is_coordinator(good, seen.native_handle(), shared);
        },
        failed);
  }
  return failed;
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
