#include "coordinator/dashboard/https_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/security/coordinator_peer.h"

namespace overwinter::dashboard {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint32_t kHeaderBytesMax = std::uint32_t{16} * 1024;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{64} * 1024;
// No script, style or frame but the page's own; text becomes no script (DASHBOARD §10).
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";
constexpr auto kHandshakeTime = std::chrono::seconds(10);
constexpr auto kRequestTime = std::chrono::seconds(30);
constexpr auto kWriteTime = std::chrono::seconds(60);
constexpr auto kTimeInACrowd = std::chrono::seconds(2);  // of each of the three
// Until a connection is tried again when no descriptor is left.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
// Changes that come closer together than that leave together.
constexpr auto kPieceEvery = std::chrono::milliseconds(50);

using TlsContext = asio::ssl::context;

// What a connection's handshake is made with. A connection that began with one keeps it.
struct TlsContexts {
  TlsContext own{TlsContext::tls_server};
  std::optional<TlsContext> shown;
  TlsContext& first() { return shown ? *shown : own; }
};
using TlsContextsPtr = std::shared_ptr<TlsContexts>;

Status load_certificate(TlsContext& context, const CertifiedKey& certified) {
  beast::error_code failed;
  context.set_options(TlsContext::no_tlsv1_2 | TlsContext::no_tlsv1_1 | TlsContext::no_tlsv1,
                      failed);
  if (!failed) context.use_certificate_chain(asio::buffer(certified.cert_chain_pem), failed);
  if (!failed) context.use_private_key(asio::buffer(certified.key_pem), TlsContext::pem, failed);
  if (!failed) return Status::success();
  return error(Code::kFailedPrecondition,
               "the dashboard's certificate cannot be used: " + failed.message());
}

// OpenSSL asks once the client has said which name it wants.
int choose_context(SSL* tls, int*, void* own) {
  const char* name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr && std::string_view(name) == kCoordinatorServerName) {
    SSL_set_SSL_CTX(tls, static_cast<SSL_CTX*>(own));
  }
  return SSL_TLSEXT_ERR_OK;
}

Result<TlsContextsPtr> make_contexts(const HttpsCertificates& certificates) {
  auto out = std::make_shared<TlsContexts>();
  if (Status status = load_certificate(out->own, certificates.own); !status.ok()) {
    return fail(std::move(status));
  }
  if (!certificates.shown) return out;
  out->shown.emplace(TlsContext::tls_server);
  if (Status status = load_certificate(*out->shown, *certificates.shown); !status.ok()) {
    return fail(std::move(status));
  }
  SSL_CTX* const shown = out->shown->native_handle();
  SSL_CTX_set_tlsext_servername_callback(shown, choose_context);
  SSL_CTX_set_tlsext_servername_arg(shown, out->own.native_handle());
  return out;
}

}  // namespace

struct HttpsServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(const HttpsConfig& settings, Handler answering)
      : config(settings),
        handler(std::move(answering)),
        admission(*config.admission),
        acceptor(io),
        again(io) {}

  void accept();
  void take(tcp::socket socket);
  // How long somebody may take for what usually may take `time`.
  [[nodiscard]] std::chrono::seconds patience(std::chrono::seconds time) const {
    return admission.crowded() ? std::min(time, kTimeInACrowd) : time;
  }

  const HttpsConfig config;
  const Handler handler;
  runtime::Admission& admission;
  asio::io_context io{1};
  TlsContextsPtr tls;  // on the server's thread, once it runs
  tcp::acceptor acceptor;
  asio::steady_timer again;
  int port = 0;
  std::thread thread;
};

namespace {

template <class Server>
class Connection : public std::enable_shared_from_this<Connection<Server>> {
 public:
  // It has entered; its end leaves.
  Connection(std::shared_ptr<Server> server, tcp::socket socket, std::string address)
      : server_(std::move(server)),
        tls_(server_->tls),
        stream_(std::move(socket), tls_->first()),
        address_(std::move(address)),
        timer_(server_->io) {}
  ~Connection() { server_->admission.leave(address_); }

  void run() {
    beast::get_lowest_layer(stream_).expires_after(server_->patience(kHandshakeTime));
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = this->shared_from_this()](beast::error_code failed) {
                              if (failed == beast::error::timeout)
                                self->server_->admission.ended_late();
                              if (!failed) self->read();
                            });
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    beast::get_lowest_layer(stream_).expires_after(server_->patience(kRequestTime));
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                       self->on_read(failed);
                     });
  }

  void on_read(beast::error_code failed) {
    if (failed == http::error::end_of_stream) return close();
    if (failed == http::error::header_limit || failed == http::error::body_limit) {
      server_->admission.ended_greedy();
      keep_ = false;
      Response refused = as_text("the request is too large\n");
      refused.status = 431;
      return write(std::move(refused));
    }
    // Who has been answered may rest; it is ended all the same.
    if (failed == beast::error::timeout && !answered_) server_->admission.ended_late();
    if (failed) return;
    const auto& message = parser_->get();
    keep_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    const auto text = [&](auto name) { return std::string(message[name]); };
    request.authorization = text(http::field::authorization);
    request.host = text(http::field::host);
    request.origin = text(http::field::origin);
    request.fetch_site = text("Sec-Fetch-Site");
    request.fetch_mode = text("Sec-Fetch-Mode");
    request.cookie = text(http::field::cookie);
    request.session = text("Overwinter-Session");
    request.content_type = text(http::field::content_type);
    request.accept_encoding = text(http::field::accept_encoding);
    request.if_none_match = text(http::field::if_none_match);
    request.last_event_id = text("Last-Event-ID");
    request.body = message.body();
    request.address = address_;
    beast::get_lowest_layer(stream_).expires_never();
    server_->handler(request, [self = this->shared_from_this()](Response response) {
      asio::post(self->server_->io, [self, response = std::move(response)]() mutable {
        self->write(std::move(response));
      });
    });
  }

  void write(Response response) {
    if (response.stream && !head_) return follow(std::move(response));
    response_ = {};
    response_.version(11);
    response_.result(response.status);
    set_headers(response, response_);
    response_.keep_alive(keep_);
    const std::size_t size = response.body.size();
    if (!head_) response_.body() = std::move(response.body);
    response_.content_length(size);
    answered_ = true;
    beast::get_lowest_layer(stream_).expires_after(server_->patience(kWriteTime));
    http::async_write(stream_, response_,
                      [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                        if (failed) return;
                        self->keep_ ? self->read() : self->close();
                      });
  }

  // ---- a body that goes on, until either side ends it
  void follow(Response response) {
    followed_ = std::move(response.stream);
    opening_ = {};
    opening_.version(11);
    opening_.result(response.status);
    set_headers(response, opening_);
    opening_.chunked(true);
    opening_.keep_alive(false);
    serializer_.emplace(opening_);
    beast::get_lowest_layer(stream_).expires_after(kWriteTime);
    http::async_write_header(
        stream_, *serializer_,
        [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
          if (failed) return;
          // From here on there is a read all the time; writes have the timer.
          beast::get_lowest_layer(self->stream_).expires_never();
          self->await_end();
          self->followed_->start(self->waker());
          self->pump();
        });
  }

  // Whatever the reader says now, or its end, ends the stream.
  void await_end() {
    stream_.async_read_some(
        asio::buffer(end_),
        [self = this->shared_from_this()](beast::error_code, std::size_t) { self->drop(); });
  }

  // Told once for each look: what comes before the look is seen by it.
  std::function<void()> waker() {
    return [weak = this->weak_from_this(), server = server_, told = told_] {
      if (told->exchange(true)) return;
      asio::post(server->io, [weak] {
        if (const auto self = weak.lock()) self->woken();
      });
    };
  }

  void woken() {
    if (!writing_ && !ended_) pump_after(rest());
  }

  // Until the next look may be.
  Duration rest() const {
    const auto since = std::chrono::steady_clock::now() - pumped_at_;
    const std::chrono::nanoseconds least = std::max<Duration>(kPieceEvery, piece_.rest);
    return since >= least ? Duration(0) : std::chrono::ceil<Duration>(least - since);
  }

  void look_again() {
    pump_after(told_->load() ? rest() : std::max<Duration>(kPieceEvery, piece_.again));
  }

  void pump_after(Duration time) {
    timer_.expires_after(time);
    timer_.async_wait([self = this->shared_from_this()](beast::error_code failed) {
      if (!failed) self->pump();
    });
  }

  void pump() {
    if (writing_ || ended_) return;
    pumped_at_ = std::chrono::steady_clock::now();
    told_->store(false);
    piece_ = followed_->next();
    if (piece_.text.empty()) return piece_.end ? drop() : look_again();
    writing_ = true;
    timer_.expires_after(kWriteTime);
    timer_.async_wait([self = this->shared_from_this()](beast::error_code failed) {
      if (!failed) self->drop();  // it takes nothing
    });
    asio::async_write(stream_, http::make_chunk(asio::buffer(piece_.text)),
                      [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                        self->written(failed);
                      });
  }

  void written(beast::error_code failed) {
    writing_ = false;
    if (failed || ended_) return drop();
    if (piece_.end) {
      return asio::async_write(
          stream_, http::make_chunk_last(),
          [self = this->shared_from_this()](beast::error_code, std::size_t) { self->drop(); });
    }
    look_again();
  }

  void drop() {
    if (std::exchange(ended_, true)) return;
    timer_.cancel();
    followed_.reset();
    beast::get_lowest_layer(stream_).close();
  }

  template <class Message>
  static void set_headers(const Response& response, Message& message) {
    message.set(http::field::content_type, response.content_type);
    message.set(http::field::cache_control, response.cache_control);
    message.set("X-Content-Type-Options", "nosniff");
    message.set("Strict-Transport-Security", "max-age=31536000");
    message.set("Content-Security-Policy", kContentSecurityPolicy);
    message.set("Referrer-Policy", "no-referrer");
    message.set("Cross-Origin-Opener-Policy", "same-origin");
    message.set("Cross-Origin-Resource-Policy", "same-origin");
    message.set("X-Frame-Options", "DENY");
    if (!response.content_encoding.empty()) {
      message.set(http::field::content_encoding, response.content_encoding);
    }
    if (!response.etag.empty()) {
      message.set(http::field::etag, response.etag);
      message.set(http::field::vary, "Accept-Encoding");
    }
    if (!response.set_cookie.empty()) message.set(http::field::set_cookie, response.set_cookie);
    if (!response.allow.empty()) message.set(http::field::allow, response.allow);
    if (response.event) message.set("Overwinter-Event", std::to_string(*response.event));
    if (response.status == 401) message.set(http::field::www_authenticate, "Bearer");
  }

  void close() {
    beast::get_lowest_layer(stream_).expires_after(kHandshakeTime);
    stream_.async_shutdown([self = this->shared_from_this()](beast::error_code) {});
  }

  const std::shared_ptr<Server> server_;
  const TlsContextsPtr tls_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  const std::string address_;  // whose it is
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool keep_ = false;
  bool head_ = false;
  bool answered_ = false;

  std::shared_ptr<Stream> followed_;
  http::response<http::empty_body> opening_;
  std::optional<http::response_serializer<http::empty_body>> serializer_;
  asio::steady_timer timer_;
  Stream::Piece piece_;
  std::array<char, 1> end_{};
  std::shared_ptr<std::atomic<bool>> told_ = std::make_shared<std::atomic<bool>>(false);
  std::chrono::steady_clock::time_point pumped_at_;
  bool writing_ = false;
  bool ended_ = false;
};

struct HostPort {
  std::string host;
  std::string port;
};
HostPort split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {host, address.substr(colon + 1)};
}

}  // namespace

void HttpsServer::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](beast::error_code failed, tcp::socket socket) {
    if (failed == asio::error::operation_aborted) return;
    if (!failed) {
      self->take(std::move(socket));
      return self->accept();
    }
    // The one that waits would fail again at once.
    self->again.expires_after(kAcceptPause);
    self->again.async_wait([self](beast::error_code ended) {
      if (!ended) self->accept();
    });
  });
}

void HttpsServer::Impl::take(tcp::socket socket) {
  beast::error_code gone;
  const auto from = socket.remote_endpoint(gone);
  if (gone) return;
  std::string address = from.address().to_string();
  // Beyond the bounds a connection is closed at once: who is being served stays served.
  if (!admission.enter(address)) return;
  std::make_shared<Connection<Impl>>(shared_from_this(), std::move(socket), std::move(address))
      ->run();
}

HttpsServer::HttpsServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(const HttpsConfig& config,
                                                        Handler handler) {
  auto impl = std::make_shared<Impl>(config, std::move(handler));
  beast::error_code failed;
  const HostPort where = split_address(config.address);
  tcp::resolver resolver(impl->io);
  const auto found = resolver.resolve(where.host, where.port, failed);
  if (!failed) {
    const tcp::endpoint endpoint = *found.begin();
    impl->acceptor.open(endpoint.protocol(), failed);
    if (!failed) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) impl->acceptor.bind(endpoint, failed);
    if (!failed) impl->acceptor.listen(asio::socket_base::max_listen_connections, failed);
  }
  if (failed) {
    return fail(Code::kFailedPrecondition,
                "the address " + config.address + " cannot be listened on: " + failed.message());
  }
  auto contexts = make_contexts(config.certificates);
  if (!contexts) return fail(std::move(contexts.error()));
  impl->tls = std::move(*contexts);
  impl->port = impl->acceptor.local_endpoint().port();
  impl->accept();
  impl->thread = std::thread([impl] { impl->io.run(); });
  return std::unique_ptr<HttpsServer>(new HttpsServer(std::move(impl)));
}

HttpsServer::~HttpsServer() {
  impl_->io.stop();
  impl_->thread.join();
}

Status HttpsServer::use(const HttpsCertificates& certificates) {
  auto contexts = make_contexts(certificates);
  if (!contexts) return contexts.error();
  asio::post(impl_->io, [impl = impl_, made = std::move(*contexts)] { impl->tls = made; });
  return Status::success();
}

int HttpsServer::port() const {
  return impl_->port;
}

}  // namespace overwinter::dashboard
