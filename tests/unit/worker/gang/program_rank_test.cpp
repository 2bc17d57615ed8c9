#include "worker/gang/program_rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include "worker/exec/keeper_protocol.h"
#include "worker/local/local_server.h"

namespace overwinter::worker {
namespace {

// The daemon of the rank: gives it its task, asks for its stop.
class RankDaemon final : public LocalServer::Handler {
 public:
  bool admits(const LocalPeer&) override { return true; }
  void received(LocalServer::Connection from, const LocalPeer&,
                const v1::LocalRequest& message) override {
    connection = from;
    if (message.has_ready()) {
      v1::LocalResponse answer;
      *answer.mutable_task() = task;
      server->send(from, answer);
    }
    if (message.has_progress()) {
      peak = std::max(peak, message.progress().memory_peak_bytes());
      used = message.progress().memory_used_bytes();
    }
    if (message.has_ended()) ended = message.ended();
  }
  void closed(LocalServer::Connection) override {}

  LocalServer* server = nullptr;
  LocalServer::Connection connection = 0;
  v1::RankTask task;
  std::uint64_t peak = 0;
  std::uint64_t used = 0;
  std::optional<v1::RankEnded> ended;
};

class ProgramRankTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 64> name{"/tmp/ow-program-XXXXXX"};
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name.data();
    auto server = LocalServer::listen(folder_ / "s", ::geteuid(), daemon_);
    ASSERT_TRUE(server);
    server_ = std::move(*server);
    daemon_.server = server_.get();
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Runs the script as a rank to its end and returns the exit code; `meanwhile`: called again and
  // again.
  int run(
      const std::string& script, std::uint64_t memory_bytes = std::uint64_t{256} << 20,
      const std::function<void()>& meanwhile = [] {}) {
    exec::TreeOrder order;
    order.processes.push_back({{"bash", "-c", script}, {{"PATH", "/usr/bin:/bin"}}});
    order.folder = folder_;
    order.confinement.grants = exec::common_grants();
    order.confinement.grants.push_back({folder_.string(), exec::Access::kReadWrite});
    order.memory.limit_bytes = memory_bytes;
    daemon_.task.mutable_program()->set_order(exec::encode_order(order));
    daemon_.task.mutable_program()->set_stop_signal(SIGTERM);
    daemon_.task.mutable_program()->set_stop_grace_ms(10'000);
    auto channel = LocalChannel::connect(folder_ / "s");
    EXPECT_TRUE(channel);
    SocketRankPort port(std::move(*channel), Duration(1000), [](const Status&) {});
    EXPECT_TRUE(port.hello({}).ok());
    std::optional<int> code;
    std::atomic<bool> over{false};
    std::jthread rank([&] {
      code = run_program_rank(port);
      over = true;
    });
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!over && std::chrono::steady_clock::now() < until) {
      pollfd wait{server_->descriptor(), POLLIN, 0};
      ::poll(&wait, 1, 20);
      server_->process();
      meanwhile();
    }
    EXPECT_TRUE(over) << "it does not end";
    rank.join();
    server_->process();
    return code.value_or(-1);
  }

  std::filesystem::path folder_;
  RankDaemon daemon_;
  std::unique_ptr<LocalServer> server_;
};

TEST_F(ProgramRankTest, HandsItsLinesOnAndTellsItsEnd) {
  ::setenv("OMPI_COMM_WORLD_RANK", "7", 1);
  ::setenv("OVERWINTER_GANG_SOCKET", "not the program's", 1);
  testing::internal::CaptureStdout();
  const int code = run("echo rank $OMPI_COMM_WORLD_RANK in $PWD socket=$OVERWINTER_GANG_SOCKET");
  ::unsetenv("OMPI_COMM_WORLD_RANK");
  ::unsetenv("OVERWINTER_GANG_SOCKET");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "rank 7 in " + folder_.string() + " socket=\n");
  EXPECT_EQ(code, 0);
  ASSERT_TRUE(daemon_.ended);
  EXPECT_TRUE(daemon_.ended->ok());
  EXPECT_EQ(daemon_.ended->exit_code(), 0);
}

TEST_F(ProgramRankTest, AFailureIsToldWithItsNumber) {
  EXPECT_EQ(run("exit 5"), 5);
  ASSERT_TRUE(daemon_.ended);
  EXPECT_FALSE(daemon_.ended->ok());
  EXPECT_EQ(daemon_.ended->exit_code(), 5);
  EXPECT_THAT(daemon_.ended->message(), testing::HasSubstr("exit code 5"));
  daemon_.ended.reset();
  EXPECT_EQ(run("kill -9 $$"), 1);
  ASSERT_TRUE(daemon_.ended);
  EXPECT_EQ(daemon_.ended->signal(), SIGKILL);
}

TEST_F(ProgramRankTest, IsToldToStop) {
  bool asked = false;
  const int code = run("trap 'exit 0' TERM; touch up; while true; do sleep 0.02; done",
                       std::uint64_t{256} << 20, [&] {
                         if (asked || !std::filesystem::exists(folder_ / "up")) return;
                         asked = true;
                         v1::LocalResponse stop;
                         stop.mutable_stop()->set_how(v1::RankStop::AFTER_CHECKPOINT);
                         server_->send(daemon_.connection, stop);
                       });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(asked);
}

TEST_F(ProgramRankTest, IsHeldToItsMemoryAndTellsItsPeak) {
  EXPECT_EQ(run("x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}; sleep 100",
                std::uint64_t{64} << 20),
            1);
  ASSERT_TRUE(daemon_.ended);
  EXPECT_THAT(daemon_.ended->message(), testing::HasSubstr("64.0 MiB"));
  EXPECT_GE(daemon_.peak, std::uint64_t{64} << 20);
}

TEST_F(ProgramRankTest, TellsWhatItHoldsWhileItRuns) {
  bool filled = false;
  const int code =
      run("x=$(head -c 40000000 /dev/zero | tr '\\0' x); while [ ! -e end ]; do sleep 0.02; done",
          std::uint64_t{256} << 20, [&] {
            if (filled || daemon_.used < 40'000'000) return;
            filled = true;
            std::ofstream(folder_ / "end") << "now";
          });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(filled);
  EXPECT_EQ(daemon_.used, 0U) << "it has ended";
}

TEST_F(ProgramRankTest, ATaskThatIsNoProgramIsRefused) {
  auto channel = LocalChannel::connect(folder_ / "s");
  ASSERT_TRUE(channel);
  SocketRankPort port(std::move(*channel), Duration(1000), [](const Status&) {});
  std::jthread rank([&] { EXPECT_EQ(run_program_rank(port), 1); });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!daemon_.ended && std::chrono::steady_clock::now() < until) {
    pollfd wait{server_->descriptor(), POLLIN, 0};
    ::poll(&wait, 1, 20);
    server_->process();
  }
  ASSERT_TRUE(daemon_.ended);
  EXPECT_FALSE(daemon_.ended->ok());
}

}  // namespace
}  // namespace overwinter::worker
