#include "coordinator/notify/http_post.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <utility>

#include "common/base/version.h"

namespace overwinter::notify {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr std::uint32_t kHeaderBytesMax = std::uint32_t{16} * 1024;

PostAnswer unreached(const std::string& what, const ErrorCode& failed) {
  return {false, true, what + ": " + failed.message()};
}

PostAnswer answered(unsigned status) {
  const std::string said = "answered " + std::to_string(status);
  const std::string words(http::obsolete_reason(static_cast<http::status>(status)));
  const std::string text = words.empty() || words.front() == '<' ? said : said + " " + words;
  if (status >= 200 && status < 300) return {true, false, text};
  const bool again = status >= 500 || status == 408 || status == 429;
  if (status >= 300 && status < 400) return {false, false, text + ": redirects are not followed"};
  return {false, again, text};
}

// One connection and what goes over it. Everything is called by the thread that runs `io`.
class Exchange {
 public:
  Exchange(asio::io_context& io, const HookUrl& url, const std::string& body)
      : url_(url), resolver_(io), socket_(io) {
    request_.version(11);
    request_.method(http::verb::post);
    request_.target(url.target);
    const bool six = url.host.find(':') != std::string::npos;
    const bool usual = url.port == (url.tls ? "443" : "80");
    request_.set(http::field::host,
                 (six ? "[" + url.host + "]" : url.host) + (usual ? "" : ":" + url.port));
    request_.set(http::field::user_agent, std::string("overwinter/") + kVersion);
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::connection, "close");
    request_.body() = body;
    request_.prepare_payload();
    parser_.header_limit(kHeaderBytesMax);
  }

  void begin() {
    resolver_.async_resolve(
        url_.host, url_.port,
        [this](const ErrorCode& failed, const tcp::resolver::results_type& found) {
          if (failed) return end(unreached("its name was not found", failed));
          connect(found);
        });
  }

  std::optional<PostAnswer> answer;

 private:
  void end(PostAnswer said) { answer = std::move(said); }

  void connect(const tcp::resolver::results_type& found) {
    // "localhost" is what the system says it is: nothing leaves the machine without TLS.
    for (const auto& entry : found) {
      if (url_.tls || is_private_address(entry.endpoint().address().to_string())) continue;
      return end({false, false, "its name stands for an address that is not private"});
    }
    asio::async_connect(socket_, found, [this](const ErrorCode& failed, const tcp::endpoint&) {
      if (failed) return end(unreached("could not be reached", failed));
      url_.tls ? shake_hands() : send(socket_);
    });
  }

  void shake_hands() {
    ErrorCode failed;
    tls_.emplace(asio::ssl::context::tls_client);
    tls_->set_default_verify_paths(failed);
    if (!failed) tls_->set_verify_mode(asio::ssl::verify_peer, failed);
    if (!failed) {
      tls_->set_options(asio::ssl::context::no_tlsv1_2 | asio::ssl::context::no_tlsv1_1 |
                            asio::ssl::context::no_tlsv1,
                        failed);
    }
    if (failed) {
      return end(unreached("this machine's certificate authorities cannot be read", failed));
    }
    secure_.emplace(socket_, *tls_);
    secure_->set_verify_callback(asio::ssl::host_name_verification(url_.host), failed);
    // For servers of several names. An address is not sent as a name.
    ErrorCode no_address;
    static_cast<void>(asio::ip::make_address(url_.host, no_address));
    if (!failed && no_address &&
        SSL_set_tlsext_host_name(secure_->native_handle(), url_.host.c_str()) != 1) {
      return end({false, true, "TLS could not be begun"});
    }
    secure_->async_handshake(asio::ssl::stream_base::client, [this](const ErrorCode& error) {
      if (error) return end(unreached("TLS 1.3 with it failed", error));
      send(*secure_);
    });
  }

  template <class Stream>
  void send(Stream& stream) {
    http::async_write(stream, request_, [this, &stream](const ErrorCode& failed, std::size_t) {
      if (failed) return end(unreached("did not take the message", failed));
      http::async_read_header(stream, buffer_, parser_,
                              [this](const ErrorCode& error, std::size_t) {
                                if (error) return end(unreached("gave no answer", error));
                                end(answered(parser_.get().result_int()));
                              });
    });
  }

  const HookUrl& url_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  std::optional<asio::ssl::context> tls_;
  std::optional<asio::ssl::stream<tcp::socket&>> secure_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_{kHeaderBytesMax};
  http::response_parser<http::empty_body> parser_;
};

}  // namespace

struct HttpPost::Running {
  asio::io_context io{1};
};

PostAnswer HttpPost::post(const HookUrl& url, const std::string& body, Duration limit) {
  const auto running = std::make_shared<Running>();
  {
    const MutexLock lock(mutex_);
    if (cancelled_) return {false, true, "the coordinator is stopping"};
    running_ = running;
  }
  Exchange exchange(running->io, url, body);
  exchange.begin();
  running->io.run_for(limit);
  const MutexLock lock(mutex_);
  running_.reset();
  if (exchange.answer) return *exchange.answer;
  if (cancelled_) return {false, true, "the coordinator is stopping"};
  return {false, true, "gave no answer within " + format_duration(limit)};
}

void HttpPost::cancel() {
  const MutexLock lock(mutex_);
  cancelled_ = true;
  if (running_) running_->io.stop();
}

}  // namespace overwinter::notify
