#include "coordinator/dashboard/https_server.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/log.h"

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

}  // namespace

struct HttpsServer::Impl : std::enable_shared_from_this<Impl> {
  Impl(const HttpsConfig& settings, Handler answering)
      : config(settings), handler(std::move(answering)), acceptor(io) {}

  void accept();

  const HttpsConfig config;
  const Handler handler;
  asio::io_context io{1};
  asio::ssl::context tls{asio::ssl::context::tls_server};
  tcp::acceptor acceptor;
  std::atomic<std::size_t> open{0};  // connections
  int port = 0;
  std::thread thread;
};

namespace {

template <class Server>
class Connection : public std::enable_shared_from_this<Connection<Server>> {
 public:
  Connection(std::shared_ptr<Server> server, tcp::socket socket)
      : server_(std::move(server)), stream_(std::move(socket), server_->tls) {
    ++server_->open;
  }
  ~Connection() { --server_->open; }

  void run() {
    beast::get_lowest_layer(stream_).expires_after(kHandshakeTime);
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = this->shared_from_this()](beast::error_code failed) {
                              if (!failed) self->read();
                            });
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    beast::get_lowest_layer(stream_).expires_after(kRequestTime);
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                       self->on_read(failed);
                     });
  }

  void on_read(beast::error_code failed) {
    if (failed == http::error::end_of_stream) return close();
    if (failed == http::error::header_limit || failed == http::error::body_limit) {
      keep_ = false;
      return write({431, "text/plain", "the request is too large\n"});
    }
    if (failed) return;
    const auto& message = parser_->get();
    keep_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.authorization = std::string(message[http::field::authorization]);
    beast::get_lowest_layer(stream_).expires_never();
    server_->handler(request, [self = this->shared_from_this()](Response response) {
      asio::post(self->server_->io, [self, response = std::move(response)]() mutable {
        self->write(std::move(response));
      });
    });
  }

  void write(Response response) {
    response_ = {};
    response_.version(11);
    response_.result(response.status);
    response_.set(http::field::content_type, response.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("Strict-Transport-Security", "max-age=31536000");
    if (response.status == 401) response_.set(http::field::www_authenticate, "Bearer");
    response_.keep_alive(keep_);
    const std::size_t size = response.body.size();
    if (!head_) response_.body() = std::move(response.body);
    response_.content_length(size);
    beast::get_lowest_layer(stream_).expires_after(kWriteTime);
    http::async_write(stream_, response_,
                      [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                        if (failed) return;
                        self->keep_ ? self->read() : self->close();
                      });
  }

  void close() {
    beast::get_lowest_layer(stream_).expires_after(kHandshakeTime);
    stream_.async_shutdown([self = this->shared_from_this()](beast::error_code) {});
  }

  const std::shared_ptr<Server> server_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool keep_ = false;
  bool head_ = false;
};

struct HostPort {
  std::string host;
  std::string port;
};
HostPort split(const std::string& address) {
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
    // Beyond the bound a connection is closed at once: who is being served stays served.
    if (!failed && self->open < self->config.connections_max) {
      std::make_shared<Connection<Impl>>(self, std::move(socket))->run();
    }
    self->accept();
  });
}

HttpsServer::HttpsServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(const HttpsConfig& config,
                                                        Handler handler) {
  auto impl = std::make_shared<Impl>(config, std::move(handler));
  beast::error_code failed;
  const HostPort where = split(config.address);
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
  impl->tls.use_certificate_chain_file(config.certificate_chain.string(), failed);
  if (!failed) {
    impl->tls.use_private_key_file(config.key.string(), asio::ssl::context::pem, failed);
  }
  if (failed) {
    return fail(Code::kFailedPrecondition,
                "the dashboard's certificate cannot be used: " + failed.message());
  }
  impl->tls.set_options(asio::ssl::context::no_tlsv1_2 | asio::ssl::context::no_tlsv1_1 |
                        asio::ssl::context::no_tlsv1);
  impl->port = impl->acceptor.local_endpoint().port();
  impl->accept();
  impl->thread = std::thread([impl] { impl->io.run(); });
  return std::unique_ptr<HttpsServer>(new HttpsServer(std::move(impl)));
}

HttpsServer::~HttpsServer() {
  impl_->io.stop();
  impl_->thread.join();
}

int HttpsServer::port() const {
  return impl_->port;
}

}  // namespace overwinter::dashboard
