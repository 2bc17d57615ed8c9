#include "tests/bench/page_client.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace overwinter::bench {
namespace {

constexpr auto kAnswerWithin = std::chrono::seconds(10);

// One question on a door of its own.
Result<Answer> ask_once(const PageServer& server, Request request) {
  try {
    Door door(server);
    std::optional<Answer> answer;
    std::string failure;
    request.set(http::field::host, door.host);
    asio::co_spawn(
        door.io,
        [&]() -> Await<void> {
          Line line(door);
          answer = co_await line.ask(request);
        },
        [&](const std::exception_ptr& thrown) {
          try {
            if (thrown) std::rethrow_exception(thrown);
          } catch (const std::exception& problem) {
            failure = problem.what();
          }
        });
    door.io.run();
    if (!answer) return fail(Code::kUnavailable, "the page does not answer: " + failure);
    if (answer->result_int() != 200) {
      return fail(Code::kInternal,
                  fmt::format("the page answered {}: {}", answer->result_int(), answer->body()));
    }
    return *std::move(answer);
  } catch (const std::exception& problem) {
    return fail(Code::kUnavailable, std::string("the page cannot be reached: ") + problem.what());
  }
}

}  // namespace

Request request_of(http::verb verb, const std::string& host, const std::string& target,
                   const PageSession& session) {
  Request request(verb, target, 11);
  request.set(http::field::host, host);
  request.set("Sec-Fetch-Site", "same-origin");
  if (!session.cookie.empty()) request.set(http::field::cookie, session.cookie);
  if (!session.secret.empty()) request.set("Overwinter-Session", session.secret);
  return request;
}

Request browser_request_of(const std::string& host, const std::string& target,
                           const PageSession& session) {
  Request request = request_of(http::verb::get, host, target, session);
  request.set(http::field::accept_encoding, "gzip, deflate, br");
  return request;
}

std::uint64_t event_of(const Answer& answer) {
  return std::strtoull(std::string(answer["Overwinter-Event"]).c_str(), nullptr, 10);
}

Door::Door(const PageServer& server) : host(server.address) {
  tls.add_certificate_authority(asio::buffer(server.root_pem));
  tls.set_verify_mode(asio::ssl::verify_peer);
  const auto colon = host.rfind(':');
  const std::string name = host.substr(0, colon);
  tls.set_verify_callback(asio::ssl::host_name_verification(name));
  tcp::resolver resolver(io);
  at = *resolver.resolve(name, host.substr(colon + 1)).begin();
}

Await<std::unique_ptr<TlsStream>> Door::connect() {
  auto stream = std::make_unique<TlsStream>(io, tls);
  beast::tcp_stream& socket = beast::get_lowest_layer(*stream);
  socket.expires_after(kAnswerWithin);
  co_await socket.async_connect(at, kHere);
  socket.socket().set_option(tcp::no_delay(true));
  co_await stream->async_handshake(asio::ssl::stream_base::client, kHere);
  co_return stream;
}

Await<Answer> Line::ask(Request request) {
  const bool is_new = stream_ == nullptr;
  if (is_new) stream_ = co_await door_.connect();
  Answer answer;
  try {
    beast::get_lowest_layer(*stream_).expires_after(kAnswerWithin);
    co_await http::async_write(*stream_, request, kHere);
    co_await http::async_read(*stream_, buffer_, answer, kHere);
  } catch (...) {
    stream_.reset();
    buffer_.clear();
    throw;
  }
  if (!answer.keep_alive()) stream_.reset();
  co_return answer;
}

Result<PageSession> log_in(const PageServer& server, const std::string& login) {
  Request request = request_of(http::verb::post, server.address, "/api/v1/session:open", {});
  request.set(http::field::content_type, "application/json");
  request.set(http::field::origin, "https://" + server.address);
  request.body() = nlohmann::json{{"code", login}}.dump();
  request.prepare_payload();
  const auto answer = ask_once(server, std::move(request));
  if (!answer) return fail(answer.error());
  const std::string cookie((*answer)[http::field::set_cookie]);
  const auto json = nlohmann::json::parse(answer->body(), nullptr, false);
  if (!json.is_object()) return fail(Code::kInternal, "the page's login is not JSON");
  return PageSession{cookie.substr(0, cookie.find(';')), json.value("secret", "")};
}

Result<PageAnswer> ask(const PageServer& server, const PageSession& session,
                       const std::string& path) {
  auto answer = ask_once(server, request_of(http::verb::get, server.address, path, session));
  if (!answer) return fail(answer.error());
  const std::uint64_t event = event_of(*answer);
  return PageAnswer{std::move(answer->body()), event};
}

}  // namespace overwinter::bench
