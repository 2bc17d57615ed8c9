#include "common/security/https_probe.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

namespace overwinter {
namespace {

constexpr std::size_t kAnswerBytesMax = 4096;

class Socket {
 public:
  explicit Socket(int number) : number_(number) {}
  ~Socket() {
    if (number_ >= 0) ::close(number_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

int connect_to(const std::string& host, const std::string& port, Duration limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  const int number = ::socket(all->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (number < 0) return -1;
  // Of connect() too.
  const timeval within{limit.count() / 1000, limit.count() % 1000 * 1000};
  ::setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
  ::setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
  if (::connect(number, all->ai_addr, all->ai_addrlen) == 0) return number;
  ::close(number);
  return -1;
}

using ProbeContext = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;
using ProbeTls = std::unique_ptr<SSL, decltype(&::SSL_free)>;

ProbeTls new_tls() {
  const ProbeContext context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  return {context ? ::SSL_new(context.get()) : nullptr, &::SSL_free};
}

// The first bytes of the answer; empty: none came.
std::string ask(int number, std::string_view request) {
  const ProbeTls tls = new_tls();
  if (!tls || ::SSL_set_fd(tls.get(), number) != 1 || ::SSL_connect(tls.get()) != 1) return {};
  if (::SSL_write(tls.get(), request.data(), static_cast<int>(request.size())) <= 0) return {};
  std::string answer;
  std::array<char, 512> part{};
  while (answer.size() < kAnswerBytesMax) {
    const int n = ::SSL_read(tls.get(), part.data(), part.size());
    if (n <= 0) break;
    answer.append(part.data(), static_cast<std::size_t>(n));
  }
  return answer;
}

// How a handshake begins. Ending it there leaves no line in the other side's log, as a handshake
// without the certificate that it wants would.
std::string client_hello() {
  const ProbeTls tls = new_tls();
  BIO* in = ::BIO_new(::BIO_s_mem());
  BIO* out = ::BIO_new(::BIO_s_mem());
  if (!tls || in == nullptr || out == nullptr) return {};
  ::SSL_set_bio(tls.get(), in, out);  // they are its own from here on
  ::SSL_connect(tls.get());
  std::string bytes(kAnswerBytesMax, 0);
  const int n = ::BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max(n, 0)));
  return bytes;
}

}  // namespace

Result<std::string> https_probe(const std::string& host, const std::string& port,
                                const std::string& path, Duration within) {
  const std::string where = host + ":" + port;
  const Socket socket(connect_to(host, port, within));
  if (socket.number() < 0) return fail(Code::kUnavailable, "nobody answers at " + where);
  const std::string answer = ask(
      socket.number(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  if (answer.empty())
    return fail(Code::kUnavailable, where + " takes connections but says nothing");
  return answer.substr(0, answer.find('\r'));
}

Status takes_connections(const std::string& host, const std::string& port, Duration within) {
  const std::string where = host + ":" + port;
  const Socket socket(connect_to(host, port, within));
  if (socket.number() < 0) return error(Code::kUnavailable, "nobody answers at " + where);
  const std::string hello = client_hello();
  if (::send(socket.number(), hello.data(), hello.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
    return Status::success();  // closed at once
  char first = 0;
  const ssize_t n = ::recv(socket.number(), &first, 1, 0);
  if (n >= 0 || errno != EAGAIN) return Status::success();
  return error(Code::kUnavailable, where + " takes connections but says nothing");
}

}  // namespace overwinter
