// A prober against another worker's real peer port, over TLS on loopback.
#include "worker/rpc/peer_prober.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <utility>

#include "common/base/mutex.h"
#include "common/security/ca.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "worker/rpc/peer_client.h"
#include "worker/rpc/peer_probe.h"
#include "worker/rpc/peer_server.h"
#include "worker/rpc/port_probe.h"

namespace overwinter::worker {
namespace {

using testing::HasSubstr;

struct NobodyListens final : GangObserver {
  void gang_event(const GangKey&, const GangEvent&) override {}
};

// A TCP port of loopback: one that listens, or (after close()) one on which nothing does.
class LoopbackPort {
 public:
  LoopbackPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    socklen_t size = sizeof at;
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    number = ntohs(at.sin_port);
  }
  ~LoopbackPort() { close(); }
  LoopbackPort(const LoopbackPort&) = delete;
  LoopbackPort& operator=(const LoopbackPort&) = delete;
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  std::uint16_t number = 0;

 private:
  int socket_;
};

// Two workers of one cluster; worker 2 serves its peer port.
class PeerProberTest : public testing::Test {
 protected:
  PeerProberTest() {
    std::string name = (std::filesystem::temp_directory_path() / "ow-prober-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    const Time now = system_wall_time();
    const auto ca = CertificateAuthority::create(folder_ / "ca", "demo", now).value();
    for (const char* id : {"1", "2"}) {
      CertifiedKey leaf;
      leaf.key_pem = generate_key().value();
      leaf.cert_chain_pem = ca.sign_worker(make_csr(leaf.key_pem, id).value(), id, now).value();
      EXPECT_TRUE(install_leaf(leaf_of(id), leaf, ca.root_pem(), now).ok());
    }
    client_ = std::make_unique<PeerClient>(PeerClientConfig{leaf_of("2")});
    launcher_ = std::make_unique<GangLauncher>(
        GangPlaces{"demo", folder_ / "jobs", folder_ / "run"}, GangPrograms{}, *client_, observer_);
    PeerServerConfig config;
    config.leaf_dir = leaf_of("2");
    config.worker = WorkerId(2);
    config.cluster = "demo";
    config.address = "127.0.0.1";
    config.port_first = 20'000;
    config.port_last = 20'999;
    server_ = std::move(PeerServer::start(config, *launcher_).value());
  }
  ~PeerProberTest() override {
    server_.reset();
    launcher_.reset();
    client_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::filesystem::path leaf_of(const std::string& id) const { return folder_ / id; }
  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(server_->port());
  }

  // A prober of worker 1 and what it says.
  PeerProberParts parts() {
    PeerProberParts out;
    out.leaf_dir = leaf_of("1");
    out.describe = [] {
      v1::HostFacts facts;
      facts.set_job_disk_total_bytes(5);
      return facts;
    };
    out.tell = [this](const v1::WorkerMessage& message) {
      const MutexLock lock(mutex_);
      told_.push_back(message);
      changed_.notify_all();
    };
    return out;
  }
  static v1::CoordinatorMessage probe_of(const std::string& address, std::uint64_t worker,
                                         bool rate = false) {
    v1::CoordinatorMessage out;
    out.mutable_probe_peer()->set_run(3);
    out.mutable_probe_peer()->set_worker(worker);
    out.mutable_probe_peer()->set_peer_address(address);
    out.mutable_probe_peer()->set_measure_rate(rate);
    return out;
  }
  // The next answer; an empty one after twenty seconds.
  v1::WorkerMessage next_told() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !told_.empty(); })) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    v1::WorkerMessage out = std::move(told_.front());
    told_.pop_front();
    return out;
  }
  v1::LinkFacts link_to(const v1::CoordinatorMessage& question, PeerProberParts with) {
    PeerProber prober(std::move(with));
    prober.ask(question);
    return next_told().peer_probed().link();
  }

  std::filesystem::path folder_;
  NobodyListens observer_;
  std::unique_ptr<PeerClient> client_;
  std::unique_ptr<GangLauncher> launcher_;
  std::unique_ptr<PeerServer> server_;
  Mutex mutex_;
  Condition changed_;
  std::deque<v1::WorkerMessage> told_ OW_GUARDED_BY(mutex_);
};

TEST_F(PeerProberTest, APortThatAnswersHasARoundTripAndARate) {
  const auto link = link_to(probe_of(address(), 2, true), parts());
  EXPECT_TRUE(link.reachable()) << link.message();
  EXPECT_GT(link.round_trip().nanos() + link.round_trip().seconds(), 0);
  EXPECT_GT(link.bytes_per_second(), 1'000'000U);
  EXPECT_EQ(link_to(probe_of(address(), 2), parts()).bytes_per_second(), 0U);
}

TEST_F(PeerProberTest, TheRateSendsNoMoreThanItMay) {
  PeerProbeWish wish;
  wish.bytes_max = 1 << 20;
  wish.rate_within = Duration(60'000);  // the bytes end it
  const auto begin = std::chrono::steady_clock::now();
  const auto probe = probe_peer(leaf_of("1"), address(), WorkerId(2), wish);
  ASSERT_TRUE(probe.has_value()) << probe.error().message;
  EXPECT_GT(probe->bytes_per_second, 0U);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(PeerProberTest, AnotherWorkerAtThatAddressIsNoAnswer) {
  const auto link = link_to(probe_of(address(), 7), parts());
  EXPECT_FALSE(link.reachable());
  EXPECT_THAT(link.message(), HasSubstr(address()));
}

TEST_F(PeerProberTest, AClosedPortIsNamed) {
  LoopbackPort closed;
  closed.close();
  const std::string at = "127.0.0.1:" + std::to_string(closed.number);
  const auto link = link_to(probe_of(at, 2), parts());
  EXPECT_FALSE(link.reachable());
  EXPECT_EQ(link.message(), "nothing listens at " + at);
  for (const char* nonsense :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "host:7610", "::1:7"}) {
    const auto none = link_to(probe_of(nonsense, 2), parts());
    EXPECT_FALSE(none.reachable());
    EXPECT_FALSE(none.message().empty()) << nonsense;
  }
}

TEST_F(PeerProberTest, OtherPortsAreTriedInPlaceOfTheirRange) {
  const LoopbackPort open;
  LoopbackPort closed;
  closed.close();
  PeerProberParts with = parts();
  with.ports = {{open.number, "some that listen"}, {closed.number, "some that do not"}};
  const auto link = link_to(probe_of(address(), 2), std::move(with));
  ASSERT_EQ(link.ports_size(), 2);
  EXPECT_EQ(link.ports(0).answer(), v1::PortFacts::ACCEPTED);
  EXPECT_EQ(link.ports(0).stands_for(), "some that listen");
  EXPECT_EQ(link.ports(1).answer(), v1::PortFacts::CLOSED);
}

TEST_F(PeerProberTest, TheMachineIsDescribedAndAnEarlierRunsQuestionsAreLetGo) {
  PeerProber prober(parts());
  v1::CoordinatorMessage describe;
  describe.mutable_describe_host()->set_run(4);
  prober.ask(describe);
  const auto told = next_told();
  EXPECT_EQ(told.host_described().run(), 4U);
  EXPECT_EQ(told.host_described().host().job_disk_total_bytes(), 5U);
}

TEST_F(PeerProberTest, StoppingGivesUpWhatIsUnderWay) {
  const LoopbackPort silent;  // accepts by the kernel, and never says a word of TLS
  const auto begin = std::chrono::steady_clock::now();
  {
    PeerProber prober(parts());
    prober.ask(probe_of("127.0.0.1:" + std::to_string(silent.number), 2));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(PortProbe, WhatIsNoAddressIsRefused) {
  const std::uint16_t port = 1;
  EXPECT_EQ(try_ports("example.org", {&port, 1}, Duration(10)).error().code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter::worker
