#include "coordinator/rpc/connection_guard.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <vector>

namespace overwinter::rpc {
namespace {

constexpr int kPatienceMs = 20'000;

// A client's side.
class Caller {
 public:
  explicit Caller(int port, const std::string& from = "127.0.0.1")
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    ::inet_pton(AF_INET, from.c_str(), &at.sin_addr);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size);
    peer_ = "ipv4:" + from + ":" + std::to_string(ntohs(own.sin_port));
  }
  ~Caller() { ::close(fd_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void send(std::size_t bytes) const {
    const std::vector<char> many(bytes, 'x');
    (void)::send(fd_, many.data(), many.size(), MSG_NOSIGNAL);
  }
  // Whether the other side ended it within `ms`.
  [[nodiscard]] bool ended(int ms) const {
    pollfd wait{fd_, POLLIN | POLLRDHUP, 0};
    return ::poll(&wait, 1, ms) == 1 && (wait.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
  }
  [[nodiscard]] const std::string& peer() const { return peer_; }

 private:
  int fd_;
  std::string peer_;
};

class ConnectionGuardTest : public testing::Test {
 protected:
  ~ConnectionGuardTest() override {
    guard_.reset();
    for (const int fd : taken_) ::close(fd);
  }
  void guard(const GuardLimits& limits) {
    auto made = ConnectionGuard::listen("127.0.0.1:0", limits, "a");
    ASSERT_TRUE(made) << made.error().message;
    guard_ = std::move(*made);
    guard_->start([this](int, int fd) {
      const MutexLock lock(mutex_);
      taken_.push_back(fd);
    });
  }
  bool until(const std::function<bool(const runtime::ConnectionCounts&)>& true_of) {
    for (int waited = 0; waited < kPatienceMs; waited += 5) {
      if (true_of(guard_->counts())) return true;
      ::poll(nullptr, 0, 5);
    }
    return false;
  }

  Mutex mutex_;
  std::vector<int> taken_ OW_GUARDED_BY(mutex_);
  std::unique_ptr<ConnectionGuard> guard_;
};

TEST_F(ConnectionGuardTest, WhoShowsNobodyIsShutDownAndWhoDoesStays) {
  GuardLimits limits;
  limits.unauthenticated_for = Duration(300);
  guard(limits);
  const Caller known(guard_->port());
  const Caller silent(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 2; }));
  guard_->authenticated(known.peer());
  EXPECT_TRUE(silent.ended(kPatienceMs));
  EXPECT_TRUE(until([](const auto& c) { return c.open == 1 && c.late == 1; }));
  EXPECT_FALSE(known.ended(500));
}

TEST_F(ConnectionGuardTest, WhoShowsNobodyInACrowdHasLessTime) {
  GuardLimits limits;
  limits.admission = {.connections_max = 4, .of_an_address_max = 4};
  limits.unauthenticated_for = Duration(60'000);
  limits.unauthenticated_in_a_crowd = Duration(200);
  guard(limits);
  const Caller known(guard_->port());
  const Caller silent(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 2; }));
  guard_->authenticated(known.peer());
  EXPECT_FALSE(silent.ended(500));
  const Caller third(guard_->port());
  EXPECT_TRUE(silent.ended(kPatienceMs));
  EXPECT_TRUE(until([](const auto& c) { return c.late >= 1 && c.open <= 2; }));
  EXPECT_FALSE(known.ended(300));
}

TEST_F(ConnectionGuardTest, SmallMessagesLeaveAtOnce) {
  guard(GuardLimits{});
  const Caller caller(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 1; }));
  ASSERT_TRUE(until([this](const auto&) {
    const MutexLock lock(mutex_);
    return !taken_.empty();
  }));
  const MutexLock lock(mutex_);
  int on = 0;
  socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(taken_.front(), IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
  EXPECT_NE(on, 0);
}

TEST_F(ConnectionGuardTest, StopsAtOnceAndMakesRoomForTheNext) {
  guard(GuardLimits{});
  const std::string address = "127.0.0.1:" + std::to_string(guard_->port());
  guard_->stop();
  guard_.reset();
  EXPECT_TRUE(ConnectionGuard::listen(address, GuardLimits{}, "a"));
}

TEST_F(ConnectionGuardTest, WhoSendsMuchBeforeACallIsShutDown) {
  GuardLimits limits;
  limits.unauthenticated_bytes = 10'000;
  guard(limits);
  const Caller greedy(guard_->port());
  const Caller known(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 2; }));
  guard_->authenticated(known.peer());
  known.send(50'000);
  greedy.send(50'000);
  EXPECT_TRUE(greedy.ended(kPatienceMs));
  EXPECT_TRUE(until([](const auto& c) { return c.greedy == 1 && c.open == 1; }));
  EXPECT_FALSE(known.ended(500));
}

TEST_F(ConnectionGuardTest, NoMoreThanItsBoundsAreTaken) {
  GuardLimits limits;
  limits.admission = {.connections_max = 5, .of_an_address_max = 3};
  guard(limits);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(std::make_unique<Caller>(guard_->port()));
  EXPECT_TRUE(until([](const auto& c) { return c.accepted == 3 && c.of_address == 1; }));
  EXPECT_TRUE(callers.back()->ended(kPatienceMs));
  // One that leaves makes room, also for its address.
  callers.front().reset();
  EXPECT_TRUE(until([](const auto& c) { return c.open == 2; }));
  callers.push_back(std::make_unique<Caller>(guard_->port()));
  EXPECT_TRUE(until([](const auto& c) { return c.accepted == 4 && c.open == 3; }));
}

TEST_F(ConnectionGuardTest, OfAFullPortWhoShowsNobodyMakesRoomForAnotherAddress) {
  GuardLimits limits;
  limits.admission = {.connections_max = 3, .of_an_address_max = 3};
  limits.unauthenticated_in_a_crowd = limits.unauthenticated_for;
  guard(limits);
  const Caller known(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 1; }));
  guard_->authenticated(known.peer());
  const Caller older(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 2; }));
  const Caller newer(guard_->port());
  ASSERT_TRUE(until([](const auto& c) { return c.open == 3; }));
  const Caller other(guard_->port(), "127.0.0.2");
  EXPECT_TRUE(older.ended(kPatienceMs));
  EXPECT_TRUE(until([](const auto& c) { return c.displaced == 1 && c.open == 3; }));
  EXPECT_FALSE(other.ended(300));
  EXPECT_FALSE(newer.ended(0));
  EXPECT_FALSE(known.ended(0));
}

TEST_F(ConnectionGuardTest, WhoHalfClosesWithoutACallIsGone) {
  guard(GuardLimits{});
  {
    const Caller gone(guard_->port());
    ASSERT_TRUE(until([](const auto& c) { return c.open == 1; }));
  }
  EXPECT_TRUE(until([](const auto& c) { return c.open == 0; }));
}

TEST_F(ConnectionGuardTest, AnAddressThatIsTakenIsSaid) {
  guard(GuardLimits{});
  const std::string address = "127.0.0.1:" + std::to_string(guard_->port());
  const auto second = ConnectionGuard::listen(address, GuardLimits{}, "a");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
  EXPECT_NE(second.error().message.find(address), std::string::npos);
  EXPECT_FALSE(ConnectionGuard::listen("no port", GuardLimits{}, "a"));
}

}  // namespace
}  // namespace overwinter::rpc
