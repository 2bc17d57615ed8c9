#include "coordinator/notify/courier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "coordinator/notify/hook_test.h"
#include "tests/unit/coordinator/notify/receiver.h"

namespace overwinter::notify {
namespace {

using test::Receiver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kGood = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kBroken = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
const CourierPlan kQuick{.waiting_max = 1000, .retries = 5, .first_wait = Duration(1), .spread = 0};

// What a courier has done, waited for with a deadline.
class Log {
 public:
  Courier::Done done() {
    return [this](const Parcel& parcel, bool delivered) {
      const MutexLock lock(mutex_);
      seen_.push_back(parcel.key + (delivered ? " delivered" : " given up"));
      changed_.notify_all();
    };
  }
  std::vector<std::string> wait_for(std::size_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const MutexLock lock(mutex_);
    while (seen_.size() < count && std::chrono::steady_clock::now() < until)
      changed_.wait_until(mutex_, until);
    return seen_;
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::vector<std::string> seen_;
};

Parcel parcel(const std::string& key) {
  return {"job 1", key, "failed", R"({"text":")" + key + "\"}"};
}

TEST(NotifyHttpPost, WhatIsSent) {
  Receiver receiver([](int) { return kGood; });
  HttpPost http;
  const PostAnswer answer = http.post(receiver.url("/services/B0?x=1"), R"({"text":"hi"})");
  EXPECT_TRUE(answer.delivered) << answer.message;
  EXPECT_EQ(answer.message, "answered 200 OK");
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_THAT(requests[0], StartsWith("POST /services/B0?x=1 HTTP/1.1\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("\r\n\r\n{\"text\":\"hi\"}"));
}

TEST(NotifyHttpPost, AnswersInTheirOwnWordsAndNeverInTheReceivers) {
  struct Case {
    const char* line;
    bool delivered;
    bool again;
    const char* said;
  };
  for (const Case& one : std::vector<Case>{
           {"204 No Content", true, false, "answered 204 No Content"},
           {"302 Found", false, false, "answered 302 Found: redirects are not followed"},
           {"404 B0SECRET", false, false, "answered 404 Not Found"},
           {"408 Request Timeout", false, true, "answered 408 Request Timeout"},
           {"429 Slow down", false, true, "answered 429 Too Many Requests"},
           {"503 B0SECRET", false, true, "answered 503 Service Unavailable"},
           {"799 B0SECRET", false, true, "answered 799"}}) {
    Receiver receiver([&](int) {
      return std::string("HTTP/1.1 ") + one.line +
             "\r\nLocation: https://elsewhere/B0SECRET\r\nContent-Length: 8\r\n\r\nB0SECRET";
    });
    HttpPost http;
    const PostAnswer answer = http.post(receiver.url("/B0SECRET"), "{}");
    EXPECT_EQ(answer.delivered, one.delivered) << one.line;
    EXPECT_EQ(answer.again, one.again) << one.line;
    EXPECT_EQ(answer.message, one.said);
  }
}

TEST(NotifyHttpPost, NobodyIsThere) {
  HookUrl url;
  {
    const Receiver gone([](int) { return kGood; });
    url = gone.url("/B0SECRET");
  }
  HttpPost http;
  const PostAnswer answer = http.post(url, "{}");
  EXPECT_FALSE(answer.delivered);
  EXPECT_TRUE(answer.again);
  EXPECT_EQ(answer.message, "could not be reached: Connection refused");
}

TEST(NotifyHttpPost, ItIsNoHttp) {
  Receiver receiver([](int) { return std::string("SSH-2.0-B0SECRET\r\n\r\n"); });
  HttpPost http;
  const PostAnswer answer = http.post(receiver.url("/B0SECRET"), "{}");
  EXPECT_FALSE(answer.delivered);
  EXPECT_THAT(answer.message, StartsWith("gave no answer: "));
  EXPECT_THAT(answer.message, Not(HasSubstr("SECRET")));
}

TEST(NotifyHttpPost, AHeaderWithoutEndIsCutOff) {
  Receiver receiver([](int) { return "HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x'); });
  HttpPost http;
  EXPECT_FALSE(http.post(receiver.url(), "{}").delivered);
}

TEST(NotifyHttpPost, OneThatSpeaksNoTls) {
  Receiver receiver([](int) { return kGood; });
  HookUrl url = receiver.url("/B0SECRET");
  url.tls = true;
  HttpPost http;
  const PostAnswer answer = http.post(url, "{}", Duration(200));
  EXPECT_FALSE(answer.delivered);
  EXPECT_THAT(answer.message, Not(HasSubstr("SECRET")));
}

TEST(NotifyHttpPost, OneThatHangsCostsItsTime) {
  Receiver receiver([](int) { return std::string(); });
  HttpPost http;
  const PostAnswer answer = http.post(receiver.url(), "{}", Duration(50));
  EXPECT_FALSE(answer.delivered);
  EXPECT_TRUE(answer.again);
  EXPECT_EQ(answer.message, "gave no answer within 50ms");
}

TEST(NotifyCourier, WaitsGrowToAboutTenMinutesInAll) {
  const CourierPlan plan;
  Duration least{0};
  Duration most{0};
  for (int n = 1; n <= plan.retries; ++n) {
    least += wait_before_retry(plan, n, 0);
    most += wait_before_retry(plan, n, 1);
    EXPECT_LT(wait_before_retry(plan, n, 0), wait_before_retry(plan, n, 1));
  }
  EXPECT_EQ(wait_before_retry(plan, 1, 0.5), Duration(5'000));
  EXPECT_EQ(wait_before_retry(plan, 5, 0.5), Duration(405'000));
  EXPECT_GT(least, std::chrono::minutes(7));
  EXPECT_LT(most, std::chrono::minutes(13));
}

TEST(NotifyCourier, TriesAgainInOrder) {
  Receiver receiver([](int request) { return request <= 2 ? kBroken : kGood; });
  Log log;
  Courier courier("ops", receiver.url(), log.done(), kQuick);
  courier.send(parcel("a"));
  courier.send(parcel("b"));
  EXPECT_THAT(log.wait_for(2), ElementsAre("a delivered", "b delivered"));
  EXPECT_EQ(receiver.requests().size(), 4U);
  const CourierCounts counts = courier.counts();
  EXPECT_EQ(counts.delivered, 2U);
  EXPECT_EQ(counts.retried, 2U);
  EXPECT_EQ(counts.failed, 0U);
}

TEST(NotifyCourier, GivesUpAfterFiveRetriesAndGoesOn) {
  Receiver receiver([](int request) { return request <= 6 ? kBroken : kGood; });
  Log log;
  Courier courier("ops", receiver.url(), log.done(), kQuick);
  courier.send(parcel("a"));
  courier.send(parcel("b"));
  EXPECT_THAT(log.wait_for(2), ElementsAre("a given up", "b delivered"));
  EXPECT_EQ(receiver.requests().size(), 7U);
  EXPECT_EQ(courier.counts().failed, 1U);
}

TEST(NotifyCourier, WhatWillNeverBeTakenIsNotTriedAgain) {
  Receiver receiver(
      [](int) { return std::string("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"); });
  Log log;
  Courier courier("ops", receiver.url(), log.done(), kQuick);
  courier.send(parcel("a"));
  EXPECT_THAT(log.wait_for(1), ElementsAre("a given up"));
  EXPECT_EQ(receiver.requests().size(), 1U);
}

// The one under way hangs; the queue keeps the newest. Its end does not wait for the receiver.
TEST(NotifyCourier, AFullQueueLosesItsOldest) {
  Receiver receiver([](int) { return std::string(); });
  Log log;
  const auto began = std::chrono::steady_clock::now();
  {
    CourierPlan plan = kQuick;
    plan.waiting_max = 3;
    Courier courier("ops", receiver.url(), log.done(), plan);
    courier.send(parcel("under way"));
    while (receiver.requests().empty()) std::this_thread::yield();
    for (int i = 0; i < 10; ++i) courier.send(parcel(std::to_string(i)));
    EXPECT_EQ(courier.counts().dropped, 7U);
    EXPECT_EQ(courier.counts().waiting, 4U);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_TRUE(log.wait_for(0).empty()) << "what is left at the end is not told as done";
}

TEST(NotifyCourier, ANewAddressIsThatOfTheNextTry) {
  Receiver broken([](int) { return kBroken; });
  Receiver good([](int) { return kGood; });
  Log log;
  CourierPlan plan = kQuick;
  plan.retries = 1'000;
  plan.first_wait = Duration(0);
  Courier courier("ops", broken.url(), log.done(), plan);
  courier.send(parcel("a"));
  while (broken.requests().empty()) std::this_thread::yield();
  courier.set_url(good.url());
  EXPECT_THAT(log.wait_for(1), ElementsAre("a delivered"));
  EXPECT_EQ(good.requests().size(), 1U);
}

TEST(NotifyHookTest, AllAtATimeAndOneTestAtATime) {
  Receiver good([](int) { return kGood; });
  Receiver broken([](int) { return kBroken; });
  Receiver hanging([](int) { return std::string(); });
  std::promise<Result<std::vector<Delivery>>> answer;
  HookTest test(Duration(2'000));
  const HookTest::Letters letters = [&]() -> Result<std::vector<HookTest::Letter>> {
    return std::vector<HookTest::Letter>{{"good", good.url(), "{}"},
                                         {"broken", broken.url(), "{}"},
                                         {"hanging", hanging.url(), "{}"}};
  };
  ASSERT_TRUE(test.begin(letters, [&](auto got) { answer.set_value(std::move(got)); }).ok());
  while (hanging.requests().empty()) std::this_thread::yield();
  EXPECT_EQ(test.begin(letters, [](const auto&) {}).code, Code::kResourceExhausted);
  while (good.requests().empty() || broken.requests().empty()) std::this_thread::yield();
  const auto got = answer.get_future().get();
  ASSERT_TRUE(got);
  ASSERT_EQ(got->size(), 3U);
  EXPECT_TRUE((*got)[0].delivered);
  EXPECT_EQ((*got)[1].message, "answered 500 Internal Server Error");
  EXPECT_FALSE((*got)[2].delivered);
  EXPECT_EQ((*got)[2].message, "gave no answer within 2.0s");
}

TEST(NotifyHookTest, AnErrorOfTheLettersIsTheAnswer) {
  std::promise<Code> answer;
  HookTest test;
  ASSERT_TRUE(test.begin([] { return fail(Code::kNotFound, "there is no such hook"); },
                         [&](const auto& got) { answer.set_value(got.error().code); })
                  .ok());
  EXPECT_EQ(answer.get_future().get(), Code::kNotFound);
  test.stop();
  EXPECT_EQ(test.begin({}, {}).code, Code::kUnavailable);
}

}  // namespace
}  // namespace overwinter::notify
