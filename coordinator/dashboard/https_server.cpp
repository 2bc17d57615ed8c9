#include "coordinator/dashboard/https_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
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
#include "coordinator/dashboard/entrance.h"
#include "coordinator/dashboard/response_headers.h"
#include "coordinator/dashboard/tls_contexts.h"

namespace overwinter::dashboard {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint32_t kHeaderBytesMax = std::uint32_t{16} * 1024;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{64} * 1024;
constexpr auto kHandshakeTime = std::chrono::seconds(10);
constexpr auto kRequestTime = std::chrono::seconds(30);
constexpr auto kWriteTime = std::chrono::seconds(60);
constexpr auto kTimeInACrowd = std::chrono::seconds(2);  // of each of the three
// Until a connection is tried again when no descriptor is left.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
// Changes that come closer together than that leave together.
constexpr auto kPieceEvery = std::chrono::milliseconds(50);

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
  Entrance entrance{admission};
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
  Connection(std::shared_ptr<Server> server, tcp::socket socket, std::string address,
             runtime::Admission::Id id)
      : server_(std::move(server)),
        tls_(server_->tls),
        stream_(std::move(socket), tls_->first()),
        address_(std::move(address)),
        id_(id),
        timer_(server_->io) {}
  ~Connection() { server_->entrance.leave(id_); }

  void run() {
    beast::get_lowest_layer(stream_).expires_after(server_->patience(kHandshakeTime));
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = this->shared_from_this()](beast::error_code failed) {
                              if (failed == beast::error::timeout)
                                self->server_->admission.ended_late();
                              if (!failed) self->read();
                            });
  }

  // What waits for it fails.
  void cut() { beast::get_lowest_layer(stream_).close(); }

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
    says_who_ = !request.authorization.empty() || !request.cookie.empty();
    beast::get_lowest_layer(stream_).expires_never();
    server_->handler(request, [self = this->shared_from_this()](Response response) {
      asio::post(self->server_->io, [self, response = std::move(response)]() mutable {
        self->write(std::move(response));
      });
    });
  }

  void write(Response response) {
    if (says_who_ && response.status < 400) server_->admission.known(id_);
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

  void close() {
    beast::get_lowest_layer(stream_).expires_after(kHandshakeTime);
    stream_.async_shutdown([self = this->shared_from_this()](beast::error_code) {});
  }

  const std::shared_ptr<Server> server_;
  const TlsContextsPtr tls_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  const std::string address_;  // whose it is
  const runtime::Admission::Id id_;
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool keep_ = false;
  bool head_ = false;
  bool answered_ = false;
  bool says_who_ = false;  // the request that is answered

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
  const auto id = entrance.enter(address);
  if (!id) return;
  // Header and body leave in two records: the second would wait 40 ms for the first's receipt.
  socket.set_option(tcp::no_delay(true), gone);
  const auto connection = std::make_shared<Connection<Impl>>(shared_from_this(), std::move(socket),
                                                             std::move(address), *id);
  entrance.ended_by(*id, [weak = std::weak_ptr(connection)] {
    if (const auto open = weak.lock()) open->cut();
  });
  connection->run();
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
