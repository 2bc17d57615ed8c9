#include "client/forward/relay.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>

namespace overwinter::forward {
namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t kHeaderBytesMax = std::uint32_t{16} * 1024;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1024} * 1024;
constexpr std::size_t kPieceBytes = std::size_t{16} * 1024;
constexpr auto kWriteTime = std::chrono::seconds(60);
// The event stream has a heartbeat every 10 s; what is slower is lost.
constexpr auto kSilence = std::chrono::seconds(60);
// Of a browser that waits while the coordinator is silent, which has its own bound.
constexpr auto kAnswerTime = kSilence + kWriteTime;
// The coordinator ends a connection that says nothing for 30 s: it is given up before.
constexpr auto kUnusedTime = std::chrono::seconds(15);
constexpr auto kFarewellTime = std::chrono::seconds(1);

enum class Pending { kNothing, kSomething, kGone };
Pending pending_of(tcp::socket& socket) {
  char byte = 0;
  const auto size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size > 0) return Pending::kSomething;
  const bool quiet = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return quiet ? Pending::kNothing : Pending::kGone;
}

class Relay : public std::enable_shared_from_this<Relay> {
 public:
  using RequestParser = http::request_parser<http::string_body>;
  using AnswerParser = http::response_parser<http::buffer_body>;
  using Request = RequestParser::value_type;

  Relay(Shared& shared, tcp::socket socket) : shared_(shared), browser_(std::move(socket)) {
    ++shared_.open;
    Error ignored;
    browser_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Relay() { --shared_.open; }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

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

}  // namespace

Awaitable<void> relay(Shared& shared, tcp::socket browser) {
  const auto one = std::make_shared<Relay>(shared, std::move(browser));
  // As a loop's condition GCC 12 compiles a co_await into a trap.
  bool open = true;
  while (open) open = co_await one->exchange();
  co_await one->end();
}

}  // namespace overwinter::forward
