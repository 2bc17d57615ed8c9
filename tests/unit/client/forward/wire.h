// A connection to a port of 127.0.0.1, by which a test says what no browser says.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace overwinter::test {

class Wire {
 public:
  explicit Wire(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* to = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::connect(socket_, to, sizeof address), 0);
  }
  ~Wire() { ::close(socket_); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // it was answered already
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // What comes, up to `end` or the other side's.
  [[nodiscard]] std::string until(std::string_view end) const {
    std::string all;
    char c = 0;
    while (all.find(end) == std::string::npos) {
      pollfd wanted{socket_, POLLIN, 0};
      if (::poll(&wanted, 1, kPatience_ms) != 1) return all + "(and says no more)";
      if (::recv(socket_, &c, 1, 0) != 1) return all + "(and ends)";
      all += c;
    }
    return all;
  }
  // All that comes until the other side ends.
  [[nodiscard]] std::string rest() const {
    std::string all;
    std::array<char, 4096> piece{};
    for (;;) {
      pollfd wanted{socket_, POLLIN, 0};
      if (::poll(&wanted, 1, kPatience_ms) != 1) return all + "(and does not end)";
      const auto size = ::recv(socket_, piece.data(), piece.size(), 0);
      if (size <= 0) return all;
      all.append(piece.data(), static_cast<std::size_t>(size));
    }
  }

 private:
  static constexpr int kPatience_ms = 20'000;
  const int socket_;
};

}  // namespace overwinter::test
