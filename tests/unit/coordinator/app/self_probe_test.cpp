#include "coordinator/app/self_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

namespace overwinter::app {
namespace {

constexpr std::chrono::seconds kPatience{20};

// Listens; what comes is taken only by take_and_close().
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    socklen_t size = sizeof any;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size);
    port_ = ntohs(any.sin_port);
  }
  ~Listener() { close(); }
  void close() {
    if (fd_ < 0) return;
    ::shutdown(fd_, SHUT_RDWR);
    ::close(std::exchange(fd_, -1));
  }
  bool take_and_close() const {
    const int taken = ::accept(fd_, nullptr, nullptr);
    if (taken >= 0) ::close(taken);
    return taken >= 0;
  }
  [[nodiscard]] std::string address() const { return to_dial("127.0.0.1:0", port_); }

 private:
  int fd_;
  int port_ = 0;
};

SelfProbe::Config quick(const Listener& listener) {
  return {{listener.address()}, Duration(10), Duration(100), 3};
}

TEST(SelfProbe, APortThatTakesNobodyIsDead) {
  Listener deaf;  // the kernel completes connections, nobody says anything
  std::promise<std::string> wrong;
  const SelfProbe probe(quick(deaf), [&wrong](const std::string& what) { wrong.set_value(what); });
  auto said = wrong.get_future();
  ASSERT_EQ(said.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(said.get(), deaf.address() + " takes connections but says nothing");
}

TEST(SelfProbe, APortThatIsGoneIsDead) {
  Listener gone;
  const SelfProbe::Config config = quick(gone);
  gone.close();
  std::promise<std::string> wrong;
  const SelfProbe probe(config, [&wrong](const std::string& what) { wrong.set_value(what); });
  auto said = wrong.get_future();
  ASSERT_EQ(said.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(said.get(), "nobody answers at " + config.addresses[0]);
}

TEST(SelfProbe, OneThatShedsIsAlive) {
  Listener shedding;
  std::atomic<int> taken = 0;
  std::thread acceptor([&] {
    while (shedding.take_and_close()) {
      ++taken;
      taken.notify_all();
    }
  });
  std::atomic<bool> dead = false;
  {
    const SelfProbe probe(quick(shedding), [&dead](const std::string&) { dead = true; });
    for (int seen = taken; seen < 10; seen = taken) taken.wait(seen);
  }
  shedding.close();
  acceptor.join();
  EXPECT_FALSE(dead);
}

TEST(SelfProbe, DialsLoopbackWhereEveryAddressIsListenedOn) {
  EXPECT_EQ(to_dial("0.0.0.0:7600", 7600), "127.0.0.1:7600");
  EXPECT_EQ(to_dial("[::]:0", 4711), "::1:4711");
  EXPECT_EQ(to_dial("10.0.0.7:7600", 7600), "10.0.0.7:7600");
}

}  // namespace
}  // namespace overwinter::app
