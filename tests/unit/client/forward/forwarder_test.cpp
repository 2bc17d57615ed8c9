#include "client/forward/forwarder.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/security/ca.h"
#include "common/security/tls_credentials.h"
#include "tests/unit/client/forward/wire.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter::forward {
namespace {

using test::must;
using test::Wire;
using testing::HasSubstr;
using testing::StartsWith;

// A port of 127.0.0.1 that is taken and answers nobody.
class Nobody {
 public:
  Nobody() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Nobody() { ::close(socket_); }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  const int socket_;
  std::uint16_t port_ = 0;
};

class ForwarderTest : public testing::Test {
 protected:
  std::unique_ptr<Forwarder> start(ForwardConfig config = {}) {
    config.dashboard = {"127.0.0.1", nobody_.port()};
    config.root_pem = authority_.root_pem();
    return must(Forwarder::start(config));
  }
  static std::string ask(const Forwarder& forwarder, const std::string& host,
                         const std::string& more = {}, const std::string& path = "/jobs") {
    const Wire wire(forwarder.port());
    wire.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
    return wire.rest();
  }
  static std::string own(const Forwarder& forwarder) {
    return "127.0.0.1:" + std::to_string(forwarder.port());
  }

  const Nobody nobody_;
  const test::TemporaryFolder folder_;
  const CertificateAuthority authority_ =
      must(CertificateAuthority::create(folder_ / "ca", "demo", system_wall_time()));
};

TEST_F(ForwarderTest, SaysWhyTheDashboardCannotBeReached) {
  const auto forwarder = start();
  const Status status = forwarder->try_dashboard();
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_THAT(status.message, HasSubstr("127.0.0.1:" + std::to_string(nobody_.port())));
  EXPECT_FALSE(trusted_by_browsers({"127.0.0.1", nobody_.port()}));
}

TEST_F(ForwarderTest, WithoutACoordinatorItSaysSoToPeopleAndToThePage) {
  const auto forwarder = start();
  const std::string person = ask(*forwarder, own(*forwarder));
  EXPECT_THAT(person, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(person, HasSubstr("text/plain"));
  const std::string page = ask(*forwarder, own(*forwarder), "", "/api/v1/session");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(page, HasSubstr(R"({"code":"UNAVAILABLE","message":"the dashboard at )"));
}

TEST_F(ForwarderTest, RefusesOtherNamesOriginsAndTwoOfThem) {
  const auto forwarder = start();
  const std::string host = own(*forwarder);
  for (const std::string& refused :
       {ask(*forwarder, "evil.example"), ask(*forwarder, "127.0.0.1:1"),
        ask(*forwarder, host, "Origin: http://evil.example\r\n"),
        ask(*forwarder, host, "Host: evil.example\r\n"),
        ask(*forwarder, host, "Origin: http://" + host + "\r\nOrigin: null\r\n")}) {
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
  }
  EXPECT_THAT(ask(*forwarder, host, "Origin: http://" + host + "\r\n"),
              StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(ask(*forwarder, host, "", "http://evil.example/"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(ForwarderTest, NoticesThatTheLoginWasAskedFor) {
  const auto forwarder = start();
  ask(*forwarder, own(*forwarder), "", "/jobs?next=/login");
  ask(*forwarder, "evil.example", "", "/login");
  EXPECT_FALSE(forwarder->login_seen());
  ask(*forwarder, own(*forwarder), "", "/login?next=%2Fjobs");
  EXPECT_TRUE(forwarder->login_seen());
}

TEST_F(ForwarderTest, RequestsAreBounded) {
  const auto forwarder = start();
  EXPECT_THAT(ask(*forwarder, own(*forwarder), "X-Long: " + std::string(20'000, 'x') + "\r\n"),
              StartsWith("HTTP/1.1 431 "));
  const auto with_body = [&](std::size_t size) {
    const Wire wire(forwarder->port());
    wire.send("POST /api/v1/session:open HTTP/1.1\r\nHost: " + own(*forwarder) +
              "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x'));
    return wire.rest();
  };
  EXPECT_THAT(with_body(1 << 20), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(with_body((1 << 20) + 1), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ForwarderTest, WhoSaysNothingOrTooSlowlyIsCutOff) {
  ForwardConfig config;
  config.idle = Duration(200);
  const auto forwarder = start(config);
  const Wire silent(forwarder->port());
  EXPECT_EQ(silent.rest(), "");
  const Wire half(forwarder->port());
  half.send("GET /jobs HTTP/1.1\r\nHost: ");
  EXPECT_EQ(half.rest(), "");
}

TEST_F(ForwarderTest, BeyondTheMostConnectionsNobodyIsServed) {
  ForwardConfig config;
  config.connections_max = 2;
  const auto forwarder = start(config);
  auto first = std::make_unique<Wire>(forwarder->port());
  const Wire second(forwarder->port());
  const Wire third(forwarder->port());
  EXPECT_EQ(third.rest(), "");
  first->send("GET /jobs HTTP/1.1\r\nHost: " + own(*forwarder) + "\r\n\r\n");
  EXPECT_THAT(first->rest(), StartsWith("HTTP/1.1 503 "));
  first.reset();  // and its place is free again, once that is noticed
  std::string served;
  for (int tries = 0; served.empty() && tries < 1000; ++tries) {
    served = ask(*forwarder, own(*forwarder));
  }
  EXPECT_THAT(served, StartsWith("HTTP/1.1 503 "));
}

TEST_F(ForwarderTest, APortThatIsTakenIsSaidToBe) {
  const auto first = start();
  ForwardConfig config;
  config.port = first->port();
  config.dashboard = {"127.0.0.1", nobody_.port()};
  config.root_pem = authority_.root_pem();
  const auto second = Forwarder::start(config);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kInvalidArgument);
  EXPECT_EQ(second.error().field, "--port");
  config.root_pem = "no certificate";
  EXPECT_EQ(Forwarder::start(config).error().code, Code::kInvalidArgument);
}

TEST_F(ForwarderTest, EndsWithConnectionsOpen) {
  auto forwarder = start();
  const Wire silent(forwarder->port());
  const Wire half(forwarder->port());
  half.send("POST /api/v1/session:open HTTP/1.1\r\n");
  EXPECT_THAT(ask(*forwarder, own(*forwarder)), StartsWith("HTTP/1.1 503 "));
  forwarder.reset();
  EXPECT_EQ(silent.rest(), "");
  EXPECT_EQ(half.rest(), "");
}

}  // namespace
}  // namespace overwinter::forward
