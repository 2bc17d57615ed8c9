// The coordinator's side: servers of openssl's own hand, with certificates of a real authority.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>

#include "client/forward/forwarder.h"
#include "common/security/ca.h"
#include "common/security/tls_credentials.h"
#include "tests/unit/client/forward/wire.h"
#include "tests/unit/common/security/temporary_folder.h"

namespace overwinter::forward {
namespace {

using test::must;
using test::TemporaryFolder;
using test::Wire;
using testing::HasSubstr;
using testing::StartsWith;

// `openssl s_server` on a free port: files of its folder over TLS 1.3, one reader after the other.
class TlsServer {
 public:
  // `how`: -WWW, or what else s_server is to do with its readers.
  explicit TlsServer(const CertifiedKey& leaf, std::string address = "127.0.0.1",
                     const std::string& how = "-WWW")
      : address_(std::move(address)) {
    folder_.put("key.pem", leaf.key_pem);
    folder_.put("chain.pem", leaf.cert_chain_pem);
    std::array<int, 2> output{};
    EXPECT_EQ(::pipe2(output.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    std::array<int, 2> input{};
    EXPECT_EQ(::pipe2(input.data(), O_CLOEXEC), 0);
    ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    std::string command = "cd " + folder_.path().string() + " && exec openssl s_server -accept " +
                          address_ +
                          ":0 -cert chain.pem "
                          "-cert_chain chain.pem -key key.pem -tls1_3 " +
                          how + " 2>&1";
    std::string shell = "sh";
    std::string option = "-c";
    const std::array<char*, 4> arguments{shell.data(), option.data(), command.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, "/bin/sh", &actions, nullptr, arguments.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(output[1]);
    ::close(input[0]);
    output_ = output[0];
    input_ = input[1];
    read_port();
  }
  ~TlsServer() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    ::close(output_);
    ::close(input_);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  [[nodiscard]] Place place() const { return {address_, port_}; }
  void serve(const std::string& name, const std::string& content) const {
    folder_.put(name, content);
  }
  // Without -WWW: to the reader, as it is.
  void say(std::string_view text) const {
    EXPECT_EQ(::write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // With -naccept 1: whether it ends, since its reader has gone.
  [[nodiscard]] bool ends() {
    std::array<char, 4096> piece{};
    for (;;) {
      pollfd wanted{output_, POLLIN, 0};
      if (::poll(&wanted, 1, 20'000) != 1) return false;
      if (::read(output_, piece.data(), piece.size()) <= 0) break;
    }
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    return true;
  }

 private:
  // "ACCEPT 127.0.0.1:41233"
  void read_port() {
    std::string said;
    char c = 0;
    while (said.find("ACCEPT") == std::string::npos || c != '\n') {
      ASSERT_EQ(::read(output_, &c, 1), 1) << said;
      said += c;
    }
    port_ = static_cast<std::uint16_t>(std::strtoul(&said[said.rfind(':') + 1], nullptr, 10));
  }

  const std::string address_;
  const TemporaryFolder folder_;
  pid_t pid_ = -1;
  int output_ = -1;
  int input_ = -1;
  std::uint16_t port_ = 0;
};

std::string without_chunks(std::string_view body) {
  std::string out;
  for (;;) {
    const auto line = body.find("\r\n");
    if (line == std::string_view::npos) return out + "(no end)";
    const auto size = std::strtoul(std::string(body.substr(0, line)).c_str(), nullptr, 16);
    if (size == 0) return out;
    out += body.substr(line + 2, size);
    body.remove_prefix(std::min(body.size(), line + 2 + size + 2));
  }
}

class ForwarderTlsTest : public testing::Test {
 protected:
  std::unique_ptr<Forwarder> start(const Place& place) const {
    ForwardConfig config;
    config.dashboard = place;
    config.root_pem = authority_.root_pem();
    return must(Forwarder::start(config));
  }
  static std::string ask(const Forwarder& forwarder, const std::string& path) {
    const Wire wire(forwarder.port());
    wire.send("GET " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(forwarder.port()) +
              "\r\nConnection: close\r\n\r\n");
    return wire.rest();
  }

  const TemporaryFolder folder_;
  const Time now_ = system_wall_time();
  const CertificateAuthority authority_ =
      must(CertificateAuthority::create(folder_ / "ca", "demo", now_));
};

TEST_F(ForwarderTlsTest, TheCoordinatorIsReachedAndALongAnswerPassesWhole) {
  const TlsServer server(must(authority_.issue_coordinator({}, now_)));
  std::string long_text;
  for (int i = 0; long_text.size() < 5'000'000; ++i) long_text += std::to_string(i) + '\n';
  server.serve("long.txt", long_text);
  const auto forwarder = start(server.place());
  EXPECT_EQ(forwarder->try_dashboard(), Status::success());
  const std::string answer = ask(*forwarder, "/long.txt");
  EXPECT_THAT(answer.substr(0, 200), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer.substr(0, 200), HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_TRUE(without_chunks(std::string_view(answer).substr(answer.find("\r\n\r\n") + 4)) ==
              long_text);
  // This machine's own roots do not know the cluster.
  EXPECT_FALSE(trusted_by_browsers(server.place()));
}

TEST_F(ForwarderTlsTest, AnotherClustersCoordinatorIsNone) {
  const auto other = must(CertificateAuthority::create(folder_ / "other", "demo", now_));
  const TlsServer server(must(other.issue_coordinator({}, now_)));
  const auto forwarder = start(server.place());
  const Status status = forwarder->try_dashboard();
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_THAT(status.message, HasSubstr("is not the cluster's coordinator: "));
  server.serve("page", "never told");
  const std::string refused = ask(*forwarder, "/page");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, testing::Not(HasSubstr("never told")));
}

TEST_F(ForwarderTlsTest, AWorkerOfTheClusterIsNoCoordinator) {
  const std::string key = must(generate_key());
  const std::string chain = must(authority_.sign_worker(must(make_csr(key, "seven")), "7", now_));
  const TlsServer server({key, chain});
  const Status status = start(server.place())->try_dashboard();
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_THAT(status.message, HasSubstr("it shows the certificate of worker 7"));
}

TEST_F(ForwarderTlsTest, ACertificateThatHasEndedIsRefused) {
  const TlsServer server(
      must(authority_.issue_coordinator({}, now_ - 2 * kCoordinatorCertificateLife)));
  const Status status = start(server.place())->try_dashboard();
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_THAT(status.message, HasSubstr("expired"));
}

// No heartbeat comes here: what a reader is told, and that it has gone, passes at once by itself.
TEST_F(ForwarderTlsTest, EventsPassAsTheyComeAndTheStreamEndsWithItsReader) {
  TlsServer server(must(authority_.issue_coordinator({}, now_)), "127.0.0.1", "-naccept 1");
  const auto forwarder = start(server.place());
  auto reader = std::make_unique<Wire>(forwarder->port());
  reader->send("GET /api/v1/events HTTP/1.1\r\nHost: localhost:" +
               std::to_string(forwarder->port()) + "\r\n\r\n");
  server.say(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  EXPECT_THAT(reader->until("\r\n\r\n"), HasSubstr("Content-Type: text/event-stream\r\n"));
  for (const char* event : {"event: hello\n\n", "event: job\ndata: {}\n\n"}) {
    const std::string text = event;
    server.say(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
    EXPECT_EQ(reader->until("\n\n\r\n"), fmt::format("{:x}\r\n{}\r\n", text.size(), text));
  }
  reader.reset();
  EXPECT_TRUE(server.ends());
}

// A page with a certificate that the machine's roots know: what --dashboard-cert is for.
TEST_F(ForwarderTlsTest, ABrowserTrustsWhatTheMachineTrustsUnderItsName) {
  const TlsServer server(must(authority_.issue_coordinator({}, now_)));
  const auto roots = folder_.put("roots.pem", authority_.root_pem());
  ::setenv("SSL_CERT_FILE", roots.c_str(), 1);
  EXPECT_TRUE(trusted_by_browsers(server.place()));
  EXPECT_TRUE(trusted_by_browsers({"localhost", server.place().port}));
  const TlsServer elsewhere(must(authority_.issue_coordinator({}, now_)), "127.0.0.2");
  EXPECT_FALSE(trusted_by_browsers(elsewhere.place())) << "its certificate does not say 127.0.0.2";
  ::unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace overwinter::forward
