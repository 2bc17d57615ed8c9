#include "worker/gang/rank_port.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>

#include "worker/local/local_server.h"

namespace overwinter::worker {
namespace {

struct Daemon final : LocalServer::Handler {
  bool admits(const LocalPeer&) override { return true; }
  void received(LocalServer::Connection from, const LocalPeer&,
                const v1::LocalRequest& message) override {
    connection = from;
    messages.push_back(message);
  }
  void closed(LocalServer::Connection) override { closed_count++; }
  [[nodiscard]] std::size_t count(v1::LocalRequest::MessageCase kind) const {
    std::size_t n = 0;
    for (const auto& message : messages) n += message.message_case() == kind ? 1 : 0;
    return n;
  }
  LocalServer::Connection connection = 0;
  std::vector<v1::LocalRequest> messages;
  int closed_count = 0;
};

class RankPortTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 64> name{"/tmp/ow-port-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
    auto server = LocalServer::listen(folder_ / "s", ::geteuid(), daemon_);
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }
  void TearDown() override {
    port_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void connect(Duration life_every) {
    auto channel = LocalChannel::connect(folder_ / "s");
    ASSERT_TRUE(channel);
    port_.emplace(std::move(*channel), life_every, [this](const Status&) { lost_ = true; });
  }
  bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd wait{server_ ? server_->descriptor() : -1, POLLIN, 0};
      ::poll(&wait, 1, 20);
      if (server_) server_->process();
    }
    return true;
  }
  // Says ready from a thread, as it waits for the daemon, which is this one.
  void get_task(std::uint64_t steps) {
    std::jthread rank([&] { EXPECT_TRUE(port_->fetch_task(Duration(10'000)).ok()); });
    ASSERT_TRUE(until([&] { return daemon_.count(v1::LocalRequest::kReady) == 1; }));
    v1::LocalResponse answer;
    answer.mutable_task()->set_steps(steps);
    server_->send(daemon_.connection, answer);
  }

  std::filesystem::path folder_;
  Daemon daemon_;
  std::unique_ptr<LocalServer> server_;
  std::atomic<bool> lost_{false};
  std::optional<SocketRankPort> port_;
};

TEST_F(RankPortTest, hello_task_progress_and_the_last_word_in_order) {
  connect(Duration(60'000));
  v1::RankHello hello;
  hello.set_rank(3);
  ASSERT_TRUE(port_->hello(hello).ok());
  get_task(12);
  EXPECT_EQ(port_->task().steps(), 12U);
  for (std::uint64_t step = 1; step <= 500; ++step) {
    v1::RankProgress progress;
    progress.set_step(step);
    port_->progress(progress);
  }
  v1::RankEnded ended;
  ended.set_ok(true);
  std::jthread rank([&] { port_->end(ended, Duration(10'000)); });
  ASSERT_TRUE(until([&] { return daemon_.count(v1::LocalRequest::kEnded) == 1; }));
  ASSERT_EQ(daemon_.messages.size(), 503U);
  EXPECT_EQ(daemon_.messages.front().hello().rank(), 3U);
  for (std::uint64_t step = 1; step <= 500; ++step) {
    EXPECT_EQ(daemon_.messages[step + 1].progress().step(), step);
  }
}

TEST_F(RankPortTest, lives_while_the_rank_computes_and_says_nothing) {
  connect(Duration(20));
  get_task(1);
  EXPECT_TRUE(until([&] { return daemon_.count(v1::LocalRequest::kProgress) >= 3; }));
}

TEST_F(RankPortTest, what_is_asked_of_it_arrives_and_the_strongest_wins) {
  connect(Duration(60'000));
  get_task(1);
  const auto ask = [&](v1::RankStop::How how) {
    v1::LocalResponse message;
    message.mutable_stop()->set_how(how);
    server_->send(daemon_.connection, message);
  };
  EXPECT_EQ(port_->stop_asked(), v1::RankStop::HOW_UNSPECIFIED);
  ask(v1::RankStop::CHECKPOINT);
  ASSERT_TRUE(until([&] { return port_->checkpoints_asked() == 1; }));
  EXPECT_EQ(port_->stop_asked(), v1::RankStop::HOW_UNSPECIFIED);
  ask(v1::RankStop::NOW);
  ask(v1::RankStop::AFTER_CHECKPOINT);
  ask(v1::RankStop::CHECKPOINT);
  ASSERT_TRUE(until([&] { return port_->checkpoints_asked() == 2; }));
  EXPECT_EQ(port_->stop_asked(), v1::RankStop::NOW);
}

TEST_F(RankPortTest, checkpoints_are_answered_one_by_one) {
  connect(Duration(60'000));
  get_task(1);
  v1::RankCheckpoint checkpoint;
  checkpoint.set_step(5);
  ASSERT_TRUE(port_->send_checkpoint(checkpoint).ok());
  ASSERT_TRUE(until([&] { return daemon_.count(v1::LocalRequest::kCheckpoint) == 1; }));
  EXPECT_FALSE(port_->checkpoint_answer());
  EXPECT_EQ(port_->wait_checkpoint_answer(Duration(1)).error().code, Code::kDeadlineExceeded);
  v1::LocalResponse answer;
  answer.mutable_checkpoint_kept()->set_step(5);
  server_->send(daemon_.connection, answer);
  const auto kept = port_->wait_checkpoint_answer(Duration(10'000));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->step(), 5U);
}

TEST_F(RankPortTest, a_daemon_that_is_gone_is_noticed_while_it_waits) {
  connect(Duration(60'000));
  std::optional<Status> status;
  std::jthread rank([&] { status = port_->fetch_task(Duration(10'000)); });
  ASSERT_TRUE(until([&] { return daemon_.count(v1::LocalRequest::kReady) == 1; }));
  server_.reset();
  rank.join();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, Code::kUnavailable);
  EXPECT_TRUE(until([&] { return lost_.load(); }));
  EXPECT_FALSE(port_->send_checkpoint({}).ok());
}

}  // namespace
}  // namespace overwinter::worker
