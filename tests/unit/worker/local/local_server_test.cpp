#include "worker/local/local_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <vector>

#include "worker/local/local_channel.h"

namespace overwinter::worker {
namespace {

struct Recorder final : LocalServer::Handler {
  bool admits(const LocalPeer& peer) override {
    peers.push_back(peer);
    return admit;
  }
  void received(LocalServer::Connection from, const LocalPeer&,
                const v1::LocalRequest& message) override {
    messages.emplace_back(from, message);
    if (on_message) on_message(from);
  }
  void closed(LocalServer::Connection from) override { ended.push_back(from); }

  bool admit = true;
  std::function<void(LocalServer::Connection)> on_message;
  std::vector<LocalPeer> peers;
  std::vector<std::pair<LocalServer::Connection, v1::LocalRequest>> messages;
  std::vector<LocalServer::Connection> ended;
};

v1::LocalRequest hello(std::uint32_t rank) {
  v1::LocalRequest message;
  message.mutable_hello()->set_rank(rank);
  return message;
}

class LocalServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 64> name{"/tmp/ow-local-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
    auto server = LocalServer::listen(socket(), ::geteuid(), recorder_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::filesystem::path socket() const { return folder_ / "job.sock"; }

  bool process_until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd wait{server_->descriptor(), POLLIN, 0};
      ::poll(&wait, 1, 100);
      server_->process();
    }
    return true;
  }

  std::filesystem::path folder_;
  Recorder recorder_;
  std::unique_ptr<LocalServer> server_;
};

TEST_F(LocalServerTest, messages_both_ways_and_who_speaks) {
  auto channel = LocalChannel::connect(socket());
  ASSERT_TRUE(channel) << channel.error().message;
  ASSERT_TRUE(channel->send(hello(3)).ok());
  ASSERT_TRUE(process_until([&] { return !recorder_.messages.empty(); }));
  EXPECT_EQ(recorder_.messages[0].second.hello().rank(), 3U);
  ASSERT_EQ(recorder_.peers.size(), 1U);
  EXPECT_EQ(recorder_.peers[0].pid, ::getpid());
  EXPECT_EQ(recorder_.peers[0].uid, ::geteuid());

  v1::LocalResponse answer;
  answer.mutable_task()->set_spec(std::string(900'000, 'x'));  // more than a socket's buffer
  server_->send(recorder_.messages[0].first, answer);
  std::optional<v1::LocalResponse> got;
  ASSERT_TRUE(process_until([&] {
    auto part = channel->receive(Duration(0));
    if (part && part->has_value()) got = **part;
    return got.has_value();
  }));
  EXPECT_EQ(got->task().spec().size(), 900'000U);

  { const LocalChannel gone = std::move(*channel); }
  ASSERT_TRUE(process_until([&] { return !recorder_.ended.empty(); }));
  EXPECT_EQ(recorder_.ended[0], recorder_.messages[0].first);
}

TEST_F(LocalServerTest, who_is_not_admitted_hears_nothing) {
  recorder_.admit = false;
  auto channel = LocalChannel::connect(socket());
  ASSERT_TRUE(channel);
  ASSERT_TRUE(process_until([&] { return !recorder_.peers.empty(); }));
  const auto answer = channel->receive(Duration(10'000));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_TRUE(recorder_.ended.empty());
}

TEST_F(LocalServerTest, another_user_is_turned_away_by_the_kernels_word) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);  // as if the mode had been got wrong
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(61399, 61399, 61399) != 0) ::_exit(2);
    auto channel = LocalChannel::connect(socket());
    if (!channel) ::_exit(3);
    const auto answer = channel->receive(Duration(10'000));
    ::_exit(!answer && answer.error().code == Code::kUnavailable ? 0 : 4);
  }
  int status = -1;
  ASSERT_TRUE(process_until([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(recorder_.peers.empty());
}

TEST_F(LocalServerTest, its_socket_is_the_users_own_and_goes_with_it) {
  struct stat info {};
  ASSERT_EQ(::stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  server_.reset();
  EXPECT_NE(::stat(socket().c_str(), &info), 0);
  EXPECT_EQ(LocalChannel::connect(socket()).error().code, Code::kUnavailable);
}

TEST_F(LocalServerTest, nonsense_ends_the_connection_only) {
  auto bad = LocalChannel::connect(socket());
  auto good = LocalChannel::connect(socket());
  ASSERT_TRUE(bad && good);
  ASSERT_EQ(::send(bad->descriptor(), "\xff\xff\xff\xff", 4, MSG_NOSIGNAL), 4);
  ASSERT_TRUE(process_until([&] { return recorder_.ended.size() == 1; }));
  ASSERT_TRUE(good->send(hello(1)).ok());
  EXPECT_TRUE(process_until([&] { return recorder_.messages.size() == 1; }));
}

TEST_F(LocalServerTest, a_connection_may_be_closed_while_it_is_handled) {
  recorder_.on_message = [&](LocalServer::Connection from) { server_->close(from); };
  auto channel = LocalChannel::connect(socket());
  ASSERT_TRUE(channel);
  ASSERT_TRUE(channel->send(hello(1)).ok());
  ASSERT_TRUE(channel->send(hello(2)).ok());
  ASSERT_TRUE(process_until([&] { return !recorder_.messages.empty(); }));
  EXPECT_FALSE(channel->receive(Duration(10'000)));
  server_->process();
  EXPECT_EQ(recorder_.messages.size(), 1U);
  EXPECT_TRUE(recorder_.ended.empty());
}

TEST_F(LocalServerTest, who_does_not_read_is_closed) {
  auto channel = LocalChannel::connect(socket());
  ASSERT_TRUE(channel);
  ASSERT_TRUE(channel->send(hello(1)).ok());
  ASSERT_TRUE(process_until([&] { return !recorder_.messages.empty(); }));
  v1::LocalResponse answer;
  answer.mutable_task()->set_spec(std::string(900'000, 'x'));
  for (int i = 0; i < 8; ++i) server_->send(recorder_.messages[0].first, answer);
  EXPECT_TRUE(process_until([&] { return recorder_.ended.size() == 1; }));
}

TEST(LocalServer, a_path_that_no_socket_can_have_is_named) {
  Recorder recorder;
  const auto server = LocalServer::listen("/tmp/" + std::string(200, 'x'), ::geteuid(), recorder);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter::worker
