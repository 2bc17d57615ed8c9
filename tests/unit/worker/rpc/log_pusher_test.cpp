#include "worker/rpc/log_pusher.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "overwinter/v1/log.grpc.pb.h"

namespace overwinter::worker {
namespace {

class Service final : public v1::LogService::Service {
 public:
  grpc::Status PushLogs(grpc::ServerContext*, grpc::ServerReader<v1::PushLogsRequest>* reader,
                        v1::PushLogsResponse*) override {
    v1::PushLogsRequest part;
    std::vector<v1::PushLogsRequest> parts;
    while (reader->Read(&part)) parts.push_back(part);
    const MutexLock lock(mutex);
    if (refusals > 0) {
      --refusals;
      return {grpc::StatusCode::UNAVAILABLE, "restarting"};
    }
    for (const v1::PushLogsRequest& one : parts) {
      if (one.has_begin()) begun.push_back(one.begin());
      for (const v1::PushedLine& line : one.logs().lines()) lines.push_back(line);
      for (const v1::PushedPoint& point : one.logs().points()) points.push_back(point);
    }
    came.notify_all();
    return grpc::Status::OK;
  }
  // Until that many have come; false after ten seconds.
  bool wait_for(std::size_t line_count, std::size_t point_count) {
    const MutexLock lock(mutex);
    for (int i = 0; i < 100; ++i) {
      if (lines.size() >= line_count && points.size() >= point_count) return true;
      came.wait_for(mutex, Duration(100));
    }
    return false;
  }

  Mutex mutex;
  Condition came;
  int refusals OW_GUARDED_BY(mutex) = 0;
  std::vector<v1::PushLogsRequest::Begin> begun OW_GUARDED_BY(mutex);
  std::vector<v1::PushedLine> lines OW_GUARDED_BY(mutex);
  std::vector<v1::PushedPoint> points OW_GUARDED_BY(mutex);
};

class LogPusherTest : public ::testing::Test {
 protected:
  LogPusherTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                   grpc::InsecureChannelCredentials());
  }
  ~LogPusherTest() override { server_->Shutdown(); }

  const JobLog::Origin origin_{{JobId(7), 2, 1}, "capability"};
  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LogPusherTest, LinesAndPointsGoInTheirOrderInTheNameOfTheSeat) {
  LogPusher pusher([this] { return channel_; }, Duration(5));
  pusher.line(origin_, 3, false, "one");
  pusher.line(origin_, 3, true, "two");
  pusher.point(origin_, "loss", 10, 2.5);
  ASSERT_TRUE(service_.wait_for(2, 1));
  const MutexLock lock(service_.mutex);
  EXPECT_EQ(service_.begun.front().capability(), "capability");
  EXPECT_EQ(service_.begun.front().seat().job(), 7U);
  EXPECT_EQ(service_.lines[0].text(), "one");
  EXPECT_EQ(service_.lines[0].rank(), 3U);
  EXPECT_EQ(service_.lines[0].stream(), v1::LogLine::OUT);
  EXPECT_EQ(service_.lines[1].text(), "two");
  EXPECT_EQ(service_.lines[1].stream(), v1::LogLine::ERR);
  EXPECT_EQ(service_.points[0].step(), 10U);
  EXPECT_EQ(service_.points[0].value(), 2.5);
}

TEST_F(LogPusherTest, WhatACoordinatorThatIsAwayDidNotTakeIsSentAgainInOrder) {
  {
    const MutexLock lock(service_.mutex);
    service_.refusals = 3;
  }
  LogPusher pusher([this] { return channel_; }, Duration(5));
  for (int i = 0; i < 20; ++i) pusher.line(origin_, 0, false, std::to_string(i));
  ASSERT_TRUE(service_.wait_for(20, 0));
  const MutexLock lock(service_.mutex);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(service_.lines[i].text(), std::to_string(i));
}

TEST_F(LogPusherTest, AfterAFlushAllOfThatAttemptHasCome) {
  LogPusher pusher([this] { return channel_; }, Duration(3'600'000));
  const std::string text(LogPusher::kLineBytesMax, 'x');
  const std::size_t count = 2 * LogPusher::kPushBytesMax / text.size();
  for (std::size_t i = 0; i < count; ++i) pusher.line(origin_, 0, false, text);
  pusher.flush(origin_.seat, Duration(60'000));
  const MutexLock lock(service_.mutex);
  EXPECT_EQ(service_.lines.size(), count);
}

TEST_F(LogPusherTest, AFlushWithoutAConnectionEndsAtItsTime) {
  LogPusher pusher([] { return std::shared_ptr<grpc::Channel>(); }, Duration(5));
  pusher.line(origin_, 0, false, "one");
  pusher.flush(origin_.seat, Duration(20));
}

TEST_F(LogPusherTest, WithoutAConnectionTheOldestGoAndAreCounted) {
  std::atomic<bool> connected = false;
  LogPusher pusher([&] { return connected ? channel_ : nullptr; }, Duration(5));
  const std::string text(LogPusher::kLineBytesMax, 'x');
  const std::size_t count = 2 * LogPusher::kWaitingBytesMax / text.size();
  for (std::size_t i = 0; i < count; ++i) pusher.line(origin_, 0, false, text);
  pusher.line(origin_, 0, false, "last");
  connected = true;
  ASSERT_TRUE(service_.wait_for(2, 0));
  for (int i = 0; i < 100; ++i) {
    const MutexLock lock(service_.mutex);
    if (service_.lines.back().text() == "last") break;
    service_.came.wait_for(service_.mutex, Duration(100));
  }
  const MutexLock lock(service_.mutex);
  EXPECT_EQ(service_.lines.back().text(), "last");
  std::size_t whole = 0;
  std::uint64_t lost = 0;
  for (const v1::PushedLine& line : service_.lines) {
    if (line.lines_lost() > 0)
      lost += line.lines_lost();
    else
      ++whole;
  }
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(whole + lost, count + 1);
}

}  // namespace
}  // namespace overwinter::worker
