// A receiver of webhooks on loopback: takes one connection after the other, reads a whole request,
// answers as it is told to.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/notify/hook_url.h"

namespace overwinter::notify::test {

class Receiver {
 public:
  // The answer's first line and headers, or empty: none, the connection stays open until the end.
  using Answer = std::function<std::string(int request)>;

  explicit Receiver(Answer answer) : answer_(std::move(answer)) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* where = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listening_, where, size), 0);
    EXPECT_EQ(::listen(listening_, 16), 0);
    EXPECT_EQ(::getsockname(listening_, where, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { work(); });
  }
  ~Receiver() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
    for (const int open : held_) ::close(open);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  [[nodiscard]] HookUrl url(const std::string& target = "/hook") const {
    return {false, "127.0.0.1", std::to_string(port_), target};
  }
  [[nodiscard]] std::vector<std::string> requests() const {
    const MutexLock lock(mutex_);
    return requests_;
  }

 private:
  static std::string read_request(int from) {
    std::string text;
    char piece[4096];
    for (;;) {
      const auto end = text.find("\r\n\r\n");
      if (end != std::string::npos) {
        const auto at = text.find("Content-Length: ");
        const std::size_t body = at == std::string::npos ? 0 : std::stoul(text.substr(at + 16));
        if (text.size() >= end + 4 + body) return text;
      }
      const ssize_t got = ::read(from, piece, sizeof(piece));
      if (got <= 0) return text;
      text.append(piece, static_cast<std::size_t>(got));
    }
  }

  void work() {
    for (int number = 1;; ++number) {
      const int open = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (open < 0) return;
      std::string request = read_request(open);
      {
        const MutexLock lock(mutex_);
        requests_.push_back(std::move(request));
      }
      const std::string answer = answer_(number);
      if (answer.empty()) {
        held_.push_back(open);
        continue;
      }
      EXPECT_EQ(::write(open, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
      ::close(open);
    }
  }

  const Answer answer_;
  int listening_ = -1;
  std::uint16_t port_ = 0;
  mutable Mutex mutex_;
  std::vector<std::string> requests_ OW_GUARDED_BY(mutex_);
  std::vector<int> held_;
  std::thread thread_;
};

}  // namespace overwinter::notify::test
